"""Predictions as text hold everything, whatever the names."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path

from src.prediction.output import to_csv_table, to_json, to_table
from src.prediction.predictor import Predictions
from src.prediction.ranking import Prediction


def test_table_json_and_csv_hold_every_class_whatever_the_names():
    paths = [Path(os.fsdecode(b"a,\xff.jpg")), Path('b "quoted".png')]
    images = [Prediction(paths[0], (2, 0), (0.75, 0.25)), Prediction(paths[1], (1,), (1 / 3,))]
    predictions = Predictions(images, ["zero", 'one, "1"', "二\n"], {"c.jpg": "empty file"})
    found = json.loads(to_json(predictions))
    assert [image["image"] for image in found["images"]] == ["a,\\xff.jpg", 'b "quoted".png']
    assert found["images"][0]["predictions"][0] == {"class": 2, "name": "二\n", "probability": 0.75}
    assert found["skipped"] == [{"image": "c.jpg", "reason": "empty file"}]
    assert list(csv.reader(io.StringIO(to_csv_table(predictions), newline=""))) == [
        ["image", "rank", "class", "name", "probability"],
        ["a,\\xff.jpg", "1", "2", "二\n", "0.75"],
        ["a,\\xff.jpg", "2", "0", "zero", "0.25"],
        ['b "quoted".png', "1", "1", 'one, "1"', str(1 / 3)],
    ]
    hostile = Predictions([Prediction(Path("=1\n\x1b.png"), (0, 1), (0.75, 0.25))], ["-\n\x1b[1m", "one"], {})
    rows = list(csv.reader(io.StringIO(to_csv_table(hostile), newline="")))
    assert rows[1] == ["'=1\n\x1b.png", "1", "0", "'-\n\x1b[1m", "0.75"]
    assert [line.split()[-1] for line in to_table(hostile).splitlines()] == ["name", r"-\n\x1b[1m", "one"]
    lines = to_table(predictions).splitlines()
    assert lines[0].split() == ["image", "probability", "class", "name"]
    assert lines[2].split() == ["25.00", "%", "0", "zero"]
