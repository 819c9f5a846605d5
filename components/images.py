"""The two images, tagged with the library's version, and the decorators that put a component into one of them.

The library is inside the image, so nothing is installed when a task starts: no network, no drift, no wait.
"""

from functools import partial

from kfp import dsl

from embedtune import __version__

DATA_IMAGE = f"embedtune-data:{__version__}"
"""CPU steps: no torch."""

TRAIN_IMAGE = f"embedtune-train:{__version__}"
"""Steps that run a model, on a GPU or a CPU."""

data_component = partial(dsl.component, base_image=DATA_IMAGE, packages_to_install=[], install_kfp_package=False)
train_component = partial(dsl.component, base_image=TRAIN_IMAGE, packages_to_install=[], install_kfp_package=False)
