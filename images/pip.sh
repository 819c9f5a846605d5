#!/bin/sh
# pip, with the settings and certificates that the build was given as secrets. usage: pip.sh ARGUMENT...
# Runs while an image is built. pip and this folder are mounts then, so neither they nor a secret stay in an image.
set -eu

export PIP_CONFIG_FILE=/run/secrets/pip PIP_CONSTRAINT=/tmp/build/constraints.txt PIP_FIND_LINKS=/tmp/build/wheels
export TMPDIR=/var/tmp PIP_NO_CACHE_DIR=1 PIP_QUIET=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
if [ -f /run/secrets/ca ]; then
    export PIP_CERT=/run/secrets/ca SSL_CERT_FILE=/run/secrets/ca REQUESTS_CA_BUNDLE=/run/secrets/ca
fi
exec /tmp/tools/bin/python -m pip "$@"
