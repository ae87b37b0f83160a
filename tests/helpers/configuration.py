"""The default configuration file for tests, and a command line parsed on a machine without accelerators."""

from __future__ import annotations

import yaml

from src.model_utils.config import DEFAULT_FILE, Config, parse_config

SECTIONS = ("config_ascend", "config_gpu", "config_cpu")


def resolve(device: str) -> str:
    return "CPU" if device == "auto" else device


def parse(*argv: object) -> Config:
    return parse_config([str(word) for word in argv], resolve)


def documents() -> list[dict]:
    return list(yaml.safe_load_all(DEFAULT_FILE.read_text(encoding="utf-8")))


def known_keys() -> set[str]:
    values = documents()[0]
    return {key for key in values if key not in SECTIONS}.union(*(values[section] for section in SECTIONS))
