"""What all tests share: the device, graph mode, and a small real data set."""

from __future__ import annotations

import gc
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from unittest import mock

import mindspore as ms
import mindspore.dataset as ds
import pytest
from hypothesis import settings

from src.cpu.library import build_cpu_library
from src.model_utils.config import parse_config
from src.model_utils.device_adapter import avoid_reference_convolutions
from tests.helpers.inference import build
from tests.helpers.pipeline import write_image
from tests.helpers.project import ROOT
from tests.helpers.record_files import SHARDS
from tests.helpers.sharing import base_folder, made_once
from tests.helpers.training_run import options, run
from tools.make_sample_dataset import make_sample_dataset

# Of the slow files those that take longest, so that at the end no process waits for another one's long file; those that
# wait for signals and ranks stand among those that compute.
LONGEST_FIRST = (
    "tests/ascend310_infer/test_program.py",  # with all that use the C++ program
    "tests/training/test_rank_commands.py",
    "tests/cpu/test_native.py",
    "tests/launch/test_launch_training.py",
    "tests/test_readme.py",
    "tests/training/test_several_ranks.py",
    "tests/training/test_fine_tuning_training.py",
    "tests/training/test_faults.py",
    "tests/tools/test_benchmark.py",
    "tests/ascend310_infer/test_build.py",
    "tests/cpu/test_operators.py",
    "tests/data/test_usable_images.py",
    "tests/test_xception.py",
    "tests/export/test_every_form.py",
    "tests/tools/test_keras_models.py",
    "tests/training/test_training.py",
    "tests/export/test_described_files.py",
    "tests/scripts/test_scripts.py",
)


def pytest_configure() -> None:
    """Give random examples no time limit; continuous integration draws the same ones each time, a person new ones."""
    settings.register_profile("here", deadline=None, derandomize="CI" in os.environ)
    settings.load_profile("here")
    # A shell without job control has what it starts in the background ignore SIGINT, and that would be inherited.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the fast files first, and of the others those that take longest.

    Where processes share the tests, a file belongs to one of them, and so do all files that build the C++ program.
    """
    assert [path for path in LONGEST_FIRST if not (ROOT / path).is_file()] == []

    def place(item: pytest.Item) -> int:
        if item.get_closest_marker("slow") is None:
            return -1
        path = item.path.relative_to(ROOT).as_posix()
        return LONGEST_FIRST.index(path) if path in LONGEST_FIRST else len(LONGEST_FIRST)

    items.sort(key=place)
    builders = {item.path for item in items if "built" in item.fixturenames}
    for item in items:
        group = "inference program" if item.path in builders else item.path.relative_to(ROOT).as_posix()
        item.add_marker(pytest.mark.xdist_group(group))


def pytest_collection_finish() -> None:
    """Let no collection of garbage look at what the modules hold: MindSpore asks for one after every compilation."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _device():
    """Users train in graph mode; PyNative would be another program."""
    avoid_reference_convolutions()
    ms.set_device("CPU")
    ms.set_context(mode=ms.GRAPH_MODE)


@pytest.fixture(autouse=True)
def _restore_seed():
    """MindSpore keeps the seed of one data set for all that follow."""
    before = ds.config.get_seed()
    yield
    ds.config.set_seed(before)


@pytest.fixture(scope="session", autouse=True)
def base(tmp_path_factory) -> Path:
    """The temporary folder of the run, where processes that share the tests put what they make once for all."""
    return base_folder(tmp_path_factory)


@pytest.fixture(scope="session", autouse=True)
def _cache(base):
    """Neither takes anything from the cache of the person who runs the tests, nor leaves anything there."""
    (base / "a cache").mkdir(exist_ok=True)
    os.environ["XDG_CACHE_HOME"] = str(base / "a cache")


@pytest.fixture(scope="session", autouse=True)
def _variables():
    """Starts processes with the variables that Python knows: MindSpore adds OMP_NUM_THREADS=1 below it, so that what
    starts this process may have handed it on.
    """
    os.environ.pop("OMP_NUM_THREADS", None)
    start = subprocess.Popen.__init__

    def begin(self: subprocess.Popen, *words: object, env: dict[str, str] | None = None, **more: object) -> None:
        start(self, *words, env=dict(os.environ) if env is None else env, **more)

    with mock.patch.object(subprocess.Popen, "__init__", begin):
        yield


@pytest.fixture(scope="session", autouse=True)
def _objects(base):
    """Lets CMake compile a file of the C++ program once for all folders that it is built in."""
    (base / "objects").mkdir(exist_ok=True)
    os.environ["OBJECTS_OF_THE_RUN"] = str(base / "objects")
    os.environ["CMAKE_CXX_COMPILER_LAUNCHER"] = f"{sys.executable};-ES;{ROOT / 'tests/helpers/object_cache.py'}"


@pytest.fixture(scope="session")
def digits(base) -> Path:
    """The whole sample data set, only to be read."""
    made_once(base, "all", lambda folder: make_sample_dataset(folder / "digits"))
    return base / "all" / "digits"


@pytest.fixture(scope="session")
def few_digits(digits, base) -> Path:
    """Three classes of the sample data set, with 7 images each in train and 37 images in val; only to be read."""

    def copy(folder: Path) -> None:
        for split, counts in (("train", (7, 7, 7)), ("val", (12, 12, 13))):
            for label, count in enumerate(counts):
                out = folder / "few digits" / split / str(label)
                out.mkdir(parents=True)
                for path in sorted((digits / split / str(label)).iterdir())[:count]:
                    shutil.copy(path, out)

    made_once(base, "few", copy)
    return base / "few" / "few digits"


@pytest.fixture(scope="session")
def numbered(tmp_path_factory) -> Path:
    """40 images in 3 classes; image n is grey of value 6 n, so that each can be told from its pixels."""
    out = tmp_path_factory.mktemp("numbered")
    for number in range(40):
        write_image(out / "abc"[number % 3] / f"{number:02d}.png", 6 * number, (8, 8))
    return out


@pytest.fixture(scope="session")
def records(few_digits, base) -> Path:
    """The 37 images in five MindRecord files, moved after they were made; only to be read."""

    def make(folder: Path) -> None:
        made = folder / "records"
        words = [str(few_digits / "val"), str(made), f"--shards={SHARDS}", "--workers=2"]
        result = run("tools/make_mindrecord.py", words, folder)
        said = f"37 images in 3 classes of {few_digits / 'val'}\n{made}: 37 images in 3 classes, 5 files, complete\n"
        assert (result.returncode, result.stdout) == (0, said)
        assert re.search(r"convert: 37/37 images \(100%\), .* images/s, took", result.stderr)
        made.rename(folder / "my records")

    made_once(base, "it's elsewhere, é", make)
    return base / "it's elsewhere, é" / "my records"


@pytest.fixture
def copied(records, tmp_path) -> Path:
    """A copy of the records, to be spoilt."""
    return Path(shutil.copytree(records, tmp_path / "copy"))


@pytest.fixture(scope="session")
def trained(few_digits, base) -> tuple[Path, subprocess.CompletedProcess]:
    """A finished training of two epochs with validation: its folder, only to be read, and its output."""

    def train(cwd: Path) -> subprocess.CompletedProcess:
        words = options(few_digits, Path("out"), "--eval_while_train=True")
        result = run("train.py", words, cwd)
        assert result.returncode == 0, result.stderr
        return result

    result = made_once(base, "a folder with spaces", train)
    return base / "a folder with spaces" / "out" / "model_0", result


@pytest.fixture
def own_copy(trained, tmp_path) -> Path:
    """A copy of the finished training's folder, below tmp_path / "out"."""
    return Path(shutil.copytree(trained[0], tmp_path / "out" / "model_0"))


@pytest.fixture(scope="session")
def library(base, _cache) -> Path:
    """The compiled operators, only to be read: those that commands of the run find."""
    built = made_once(base, "library", lambda _: build_cpu_library(parse_config([], lambda _: "CPU")))
    assert built is not None
    return built


@pytest.fixture(scope="session")
def built() -> None:
    """The C++ program with MindSpore Lite, and the tests' tools."""
    result = subprocess.run(["bash", ROOT / "scripts" / "setup_lite.sh"], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    build("-DBUILD_TOOLS=ON")
