"""Names of the files that training writes."""

from __future__ import annotations

METRICS = "metrics.csv"

CURVES = "curves.png"  # beside metrics.csv

BAD_IMAGES = "bad_images.txt"

CLASS_NAMES = "class_names.txt"  # beside the checkpoints, a name a line

CONFIG = "config.yaml"

BEST_CHECKPOINT = "Xception-best.ckpt"
