"""The doors at the top of the tree."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.helpers.project import ROOT


@pytest.mark.parametrize("script", ["train.py", "eval.py", "export.py", "predict.py"])
def test_help_comes_without_waiting_for_mindspore(script):
    code = (
        f"import sys, runpy; sys.argv = ['{script}', '--help']\ntry: runpy.run_path('{script}', run_name='__main__')\n"
    )
    code += "except SystemExit as stop: sys.exit(stop.code or 'mindspore' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "--image_size" in result.stdout
