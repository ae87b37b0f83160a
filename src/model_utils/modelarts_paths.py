"""Where the paths of a run on ModelArts lead on the server, and the name that its processes share."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Collection
from pathlib import Path

from src.model_utils.config import Config, ConfigError
from src.modelarts.given_files import find_file, find_unzipped

_JOB_VARIABLES = ("JOB_ID", "MA_VJ_NAME")  # where ModelArts names the job: older and newer images
CHECKPOINTS = ("checkpoint_path", "ckpt_file", "pretrained", "resume", "initial_checkpoint")
_RESULTS = ("save_checkpoint_path", "log_dir", "show_batch", "eval_report", "file_name")


def local_config(config: Config) -> Config:
    """Point a configuration to the local copies.

    Args:
        config: The configuration as the user gave it; its paths are relative to the folders below, absolute ones stay.

    Returns:
        The configuration with train_data_dir, test_data_dir, class_map and a file of class_weights below the images
        (data_path, or folder_name_under_zip_file in the unzipped data set); checkpoint_path, ckpt_file, pretrained,
        resume and initial_checkpoint below load_path; save_checkpoint_path, log_dir, show_batch, eval_report and
        file_name below output_path.

    Raises:
        ConfigError: If results would be written outside of output_path, or validation has no folder of its own.
    """
    images = Path(config.data_path)
    if config.modelarts_dataset_unzip_name:
        images = unzipped_folder(config) / config.folder_name_under_zip_file
    if config.eval_while_train and not (config.test_data_dir or config.validation_split):
        raise ConfigError(f"eval_while_train needs its own images: add --test_data_dir, a folder below {images}")
    local = {key: str(images / getattr(config, key)) for key in ("train_data_dir", "test_data_dir")}
    if config.class_map:
        local["class_map"] = str(images / config.class_map)
    if config.class_weights not in ("", "none", "balanced"):
        local["class_weights"] = str(images / config.class_weights)
    for key in CHECKPOINTS:
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


def unzipped_config(config: Config, local: Config) -> Config:
    """Return a configuration as of local_config, for images that came unzipped if they did."""
    if not config.modelarts_dataset_unzip_name:
        return local
    folder = unzipped_folder(config)
    images = find_unzipped(folder, config.folder_name_under_zip_file)
    if images is None:
        return local
    print(f"the data set came unzipped: its images are taken from {images}", file=sys.stderr, flush=True)
    return local_config(config.replace(modelarts_dataset_unzip_name="", data_path=str(images)))


def with_found_files(config: Config, local: Config, keys: Collection[str]) -> Config:
    """Return a configuration as of local_config, with files beside the code where they are not in the copies.

    Raises:
        ConfigError: One is in neither place.
    """
    found = {}
    for key in keys:
        given = getattr(config, key)
        if given in ("", "auto"):
            continue
        copied = Path(getattr(local, key))
        try:
            path = find_file(key, given, copied)
        except FileNotFoundError as error:
            raise ConfigError(str(error)) from error
        if path != Path(os.path.abspath(copied)):
            print(f"{key} is {path}, beside the code", file=sys.stderr, flush=True)
        found[key] = str(path)
    return local.replace(**found)


def job_name(config: Config) -> str:
    """Return the name that the processes of one job share and other jobs on the server do not; fit for a file name."""
    identity = next((os.environ[name] for name in _JOB_VARIABLES if os.environ.get(name)), "local")
    urls = [url.rstrip("/") for url in (config.data_url, config.checkpoint_url, config.train_url)]
    urls.append(config.modelarts_dataset_unzip_name)
    folders = [os.path.abspath(path) for path in (config.data_path, config.load_path, config.output_path)]
    digest = hashlib.sha256("\0".join([str(os.getuid()), *urls, *folders]).encode()).hexdigest()
    return f"{re.sub(r'[^A-Za-z0-9-]', '-', identity)[:64]}-{digest[:16]}"


def unzipped_folder(config: Config) -> Path:
    return Path(config.data_path) / config.modelarts_dataset_unzip_name
