"""Builds for the tests of this folder."""

from tests.documents.conftest import build as build
from tests.documents.conftest import write_rows as write_rows
