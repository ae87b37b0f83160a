"""Running on Huawei ModelArts: data and checkpoints are copied in before a run, results out after it."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib
import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from src.common.files import atomic_write
from src.common.progress import format_duration
from src.model_utils.config import Config, ConfigError
from src.modelarts.filled_folder import MARK, filled_folder, is_complete
from src.modelarts.folder_lock import claimed, filling
from src.modelarts.job_lock import JobLock
from src.modelarts.zip_dataset import unzip_dataset

Result = TypeVar("Result")

WAIT_LIMIT = 5 * 3600.0  # seconds: ImageNet is 150 GB
_JOB_VARIABLES = ("JOB_ID", "MA_VJ_NAME")  # where ModelArts names the job: older and newer images
_CHECKPOINTS = ("checkpoint_path", "ckpt_file", "pretrained", "resume")
_RESULTS = ("save_checkpoint_path", "eval_report", "file_name")


def moxing_wrapper(function: Callable[..., Result], wait_limit: float = WAIT_LIMIT) -> Callable[..., Result]:
    """Decorate a function of a configuration so that it runs on local copies when `enable_modelarts` is true.

    One process of a job on a server copies and unzips, the others wait for it, and so do other jobs that want the same
    folder. The last one to end copies `output_path` to `train_url`, and so does every one that fails or is told to
    stop: the others may never end.

    Args:
        function: Takes the configuration first.
        wait_limit: Longest time in seconds that a process waits for others of its job on this server.

    Returns:
        The function: with `enable_modelarts` false, unchanged; with true, it gets the configuration of local_config.
        Besides its own errors it raises ConfigError if moxing is absent or a path does not fit, and OSError (such as
        TimeoutError) or ValueError if a copy or the zip file fails, here or in the process that was waited for, or if
        another job writes its results to the same `output_path`.
    """

    @functools.wraps(function)
    def run(config: Config, *args: Any, **kwargs: Any) -> Result:
        if not config.enable_modelarts:
            return function(config, *args, **kwargs)
        moxing = _import_moxing()
        local = local_config(config)
        job = job_name(config)
        with contextlib.ExitStack() as stack:
            if config.train_url:
                stack.enter_context(claimed(Path(os.path.abspath(config.output_path)), job, wait_limit))
            with JobLock(job, wait_limit) as lock:
                with lock.once("copies the data"):
                    _download(moxing, config, wait_limit)
                # msrun starts the script once more to coordinate the others; it may end without coming back here.
                if os.environ.get("MS_ROLE") != "MS_SCHED":
                    return _run_and_upload(lambda: function(local, *args, **kwargs), moxing, config, lock)
            return function(local, *args, **kwargs)

    return run


def local_config(config: Config) -> Config:
    """Point a configuration to the local copies.

    Args:
        config: The configuration as the user gave it; its paths are relative to the folders below, absolute ones stay.

    Returns:
        The configuration with train_data_dir, test_data_dir, class_map and a file of class_weights below the images
        (data_path, or folder_name_under_zip_file in the unzipped data set); checkpoint_path, ckpt_file, pretrained and
        resume below load_path; save_checkpoint_path, eval_report and file_name below output_path.

    Raises:
        ConfigError: If results would be written outside of output_path, or validation has no folder of its own.
    """
    images = Path(config.data_path)
    if config.modelarts_dataset_unzip_name:
        images = _unzipped(config) / config.folder_name_under_zip_file
    if config.eval_while_train and not (config.test_data_dir or config.validation_split):
        raise ConfigError(f"eval_while_train needs its own images: add --test_data_dir, a folder below {images}")
    local = {key: str(images / getattr(config, key)) for key in ("train_data_dir", "test_data_dir")}
    if config.class_map:
        local["class_map"] = str(images / config.class_map)
    if config.class_weights not in ("", "none", "balanced"):
        local["class_weights"] = str(images / config.class_weights)
    for key in _CHECKPOINTS:
        if getattr(config, key) not in ("", "auto"):  # a word that resume knows
            local[key] = str(Path(config.load_path) / getattr(config, key))
    output = os.path.abspath(config.output_path)
    for key in _RESULTS:
        if getattr(config, key):
            local[key] = os.path.abspath(os.path.join(output, getattr(config, key)))
            if not Path(local[key]).is_relative_to(output):
                raise ConfigError(
                    f"{key} {getattr(config, key)} is outside of output_path {config.output_path}, and only that is "
                    f"copied to train_url: give a path relative to output_path"
                )
    return config.replace(**local)


def job_name(config: Config) -> str:
    """Return the name that the processes of one job share and other jobs on the server do not; fit for a file name."""
    identity = next((os.environ[name] for name in _JOB_VARIABLES if os.environ.get(name)), "local")
    urls = [url.rstrip("/") for url in (config.data_url, config.checkpoint_url, config.train_url)]
    urls.append(config.modelarts_dataset_unzip_name)
    folders = [os.path.abspath(path) for path in (config.data_path, config.load_path, config.output_path)]
    digest = hashlib.sha256("\0".join([str(os.getuid()), *urls, *folders]).encode()).hexdigest()
    return f"{re.sub(r'[^A-Za-z0-9-]', '-', identity)[:64]}-{digest[:16]}"


def _unzipped(config: Config) -> Path:
    return Path(config.data_path) / config.modelarts_dataset_unzip_name


def _import_moxing() -> Any:
    try:
        return importlib.import_module("moxing")
    except ModuleNotFoundError as error:
        if error.name != "moxing":
            raise
        raise ConfigError(
            "enable_modelarts is true, but the Python module moxing is not there: only the images of Huawei ModelArts "
            "have it; elsewhere set enable_modelarts false and give local folders"
        ) from error


def _download(moxing: Any, config: Config, wait_limit: float) -> None:
    """Copy in what is not there yet, and unzip the data set."""
    job = job_name(config)
    sources = (("data_url", config.data_url, config.data_path),
               ("checkpoint_url", config.checkpoint_url, config.load_path))  # fmt: skip
    for key, url, path in sources:
        folder = Path(os.path.abspath(path))
        if not url:
            continue
        with filling(folder, job, wait_limit):
            if not _is_there(folder, url):
                with filled_folder(folder, url, job) as temporary:
                    _copy(moxing, url, str(temporary), folder)
                    if not any(temporary.iterdir()):
                        raise OSError(f"{key} {url} is empty: check the address")
    folder, url = Path(config.output_path), config.train_url
    if url and not _is_there(folder, url):
        with filled_folder(folder, url, job) as temporary:
            # The results of an earlier run may not be there.
            if moxing.file.exists(url):
                _copy(moxing, url, str(temporary), folder)
        atomic_write(_upload_record(folder), _fingerprint(folder))
    if config.modelarts_dataset_unzip_name:
        folder = _unzipped(config)
        with filling(folder, job, wait_limit):
            unzip_dataset(folder.with_name(f"{folder.name}.zip"), folder, job)


def _is_there(folder: Path, url: str) -> bool:
    """Tell, also the user, whether a folder holds what is at an address."""
    if not is_complete(folder, url):
        return False
    print(f"{url} is in {folder} already; remove that folder to have it copied again", flush=True)
    return True


def _run_and_upload(function: Callable[[], Result], moxing: Any, config: Config, lock: JobLock) -> Result:
    """Run a function and copy the results out, whether or not it fails."""
    task = "copies the results"
    try:
        result = function()
    except BaseException:
        try:
            with lock.leave(task):
                _upload(moxing, config)
        except Exception as error:  # noqa: BLE001 - it must not hide why the run failed
            print(f"error: {error}; the results are in {config.output_path} only", file=sys.stderr, flush=True)
        raise
    try:
        with lock.leave(task) as is_last:
            if is_last:
                _upload(moxing, config)
    except Exception as error:
        raise OSError(
            f"the run itself ended well, but {error}; its results are in {config.output_path} only: start it again to "
            f"have them copied, or copy them by hand"
        ) from error
    return result


def _upload(moxing: Any, config: Config) -> None:
    """Copy the results out, unless they are there already: another server's newer ones must not be overwritten."""
    folder = Path(config.output_path)
    files = _fingerprint(folder)
    record = _upload_record(folder)
    if not config.train_url or files == (record.read_text() if record.exists() else ""):
        return
    _copy(moxing, str(folder), config.train_url, config.train_url)
    atomic_write(record, files)


def _upload_record(folder: Path) -> Path:
    """Return the file beside the results that holds the fingerprint of those that train_url has."""
    return folder.with_name(f".{folder.name}.uploaded")


def _fingerprint(folder: Path) -> str:
    """Return a digest of the names, sizes and times of all files in a folder; empty when there are none."""
    lines = []
    for parent, _, names in os.walk(folder):
        for path in (Path(parent, name) for name in names if name != MARK):
            with contextlib.suppress(FileNotFoundError):  # another process may be at work in the folder
                status = path.lstat()
                lines.append(f"{path.relative_to(folder)}\0{status.st_size}\0{status.st_mtime_ns}")
    return hashlib.sha256("\n".join(sorted(lines)).encode(errors="surrogateescape")).hexdigest() if lines else ""


def _copy(moxing: Any, source: str, target: str, shown: str | Path) -> None:
    """Copy a folder with moxing, whose errors are of many kinds."""
    print(f"copying {source} to {shown}", flush=True)
    start = time.monotonic()
    try:
        moxing.file.copy_parallel(source, target)
    except Exception as error:
        raise OSError(f"cannot copy {source} to {shown}: {type(error).__name__}: {error}") from error
    print(f"copied {source} to {shown} in {format_duration(time.monotonic() - start)}", flush=True)
