"""One process of a benchmark: prepares its workload, then does a round whenever the benchmark asks for one."""

from __future__ import annotations

import argparse
import json
import os
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path

if __name__ == "__main__":  # run as a script: `src` is found from any folder
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from src.cpu.library import build_cpu_library
from src.cpu.precision import settle_precision
from src.model_utils.command import run_command
from src.model_utils.config import parse_config
from src.model_utils.device_adapter import resolve_device, use_device
from src.model_utils.local_adapter import join_group


def main(argv: Sequence[str]) -> None:
    """Run the process until the benchmark closes its connection; `argv` is without the program's name."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--task", required=True, help="what to do; export writes --onnx_path and ends")
    parser.add_argument("--images", type=int, default=1, help="images in a pass, over all ranks")
    parser.add_argument("--passes", type=int, default=1, help="passes over the images in a round")
    parser.add_argument("--port", type=int, default=0, help="where the benchmark listens on this machine")
    parser.add_argument("--cores", default="", help="cores for all ranks together, such as 0,1")
    parser.add_argument("--ranks", type=int, default=1)
    args, options = parser.parse_known_args(argv)
    if args.cores:  # before MindSpore is imported, which counts them then
        _keep_to_share([int(core) for core in args.cores.split(",")], args.ranks)
    start = time.perf_counter()
    config = parse_config(options, resolve_device)

    library = build_cpu_library(config) if args.task == "training" else None
    use_device(config, library is not None)
    config = settle_precision(config, library) if args.task == "training" else config
    group = join_group(config)

    from tools.benchmarks.workloads import build_network, build_workload

    if args.task == "export":
        from src.export.exporter import ExportForm, export_network

        side = config.image_size
        network = build_network(config)
        form = ExportForm("ONNX", config.batch_size, side, side)
        export_network(network, config.onnx_path, form, config.device_target)
        return
    workload = build_workload(args.task, config, images=args.images, passes=args.passes, group=group, library=library)
    started = time.perf_counter() - start
    with socket.create_connection(("127.0.0.1", args.port)) as connection, connection.makefile("rw") as stream:
        for _ in stream:
            start = time.perf_counter()
            workload.run()
            seconds = time.perf_counter() - start
            result = {name: values.tolist() for name, values in workload.result().items()}
            answer = {"seconds": seconds, "start": started, "peak_memory": _peak_memory(), "result": result}
            stream.write(json.dumps(answer) + "\n")
            stream.flush()


def _keep_to_share(cores: Sequence[int], ranks: int) -> None:
    """Keep this process to its rank's share of the cores."""
    each = len(cores) // ranks
    rank = int(os.environ.get("RANK_ID", 0)) if ranks > 1 else 0
    os.sched_setaffinity(0, cores[rank * each : (rank + 1) * each])


def _peak_memory() -> int:
    """Return the most memory that this process has held so far, in bytes."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields["VmHWM"].split()[0]) * 1024


if __name__ == "__main__":
    sys.exit(run_command(main))
