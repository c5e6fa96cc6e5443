"""The deployment kit's pages say what the code does: commands, files, tolerances, messages."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import typer
from PIL import Image

import sskt_edge
from sskt_edge import errors
from sskt_edge.cli.main import app
from sskt_edge.convert import bundle_from_run
from sskt_edge.convert.export_options import with_options
from sskt_edge.runtime import engines, golden, trust_list
