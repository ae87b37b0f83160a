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

from src.cpu.library import build_cpu_library, build_evaluation_library
from src.cpu.precision import settle_precision
from src.cpu.shared_memory import share_memory
from src.cpu.threads import share_cores
from src.launch.leaving import leave
from src.model_utils.command import run_command
from src.model_utils.config import Config, parse_config
from src.model_utils.device_adapter import resolve_device, use_device
from src.model_utils.eval_engine import is_converted
from src.model_utils.local_adapter import join_group
from src.model_utils.shared_processors import find_share
from tools.benchmarks.workload import Workload


def main(argv: Sequence[str]) -> None:
    """Run the process until the benchmark closes its connection; `argv` is without the program's name."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--task", required=True, help="what to do")
    parser.add_argument("--for_peer", action="store_true", help="write --exchange, or else --onnx_path, and end")
    parser.add_argument("--exchange", type=Path, help="weights and batches by which PyTorch does the task")
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
    if args.for_peer:
        _write_for_peer(args, config)
        return
    workload = _torch_workload(args, config) if args.exchange else _own_workload(args, config)
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


def _own_workload(args: argparse.Namespace, config: Config) -> Workload:
    library = None
    if args.task == "training":
        library = build_cpu_library(config)
    elif args.task in ("evaluation", "predict") and not config.onnx_path:
        library = build_evaluation_library(config)
    use_device(config, library is not None or is_converted(config))
    config = config if is_converted(config) else settle_precision(config, library)
    group = join_group(config)
    share_cores(library, find_share(group), group)
    share_memory(config, library, group)

    from tools.benchmarks.workloads import build_workload  # MindSpore takes seconds to import: --help does without

    return build_workload(args.task, config, images=args.images, passes=args.passes, group=group, library=library)


def _torch_workload(args: argparse.Namespace, config: Config) -> Workload:
    from tools.benchmarks.exchange import read_exchange
    from tools.benchmarks.torch_workloads import build_torch_workload

    given = read_exchange(args.exchange)
    return build_torch_workload(args.task, config, given, args.images // given.labels.size)


def _write_for_peer(args: argparse.Namespace, config: Config) -> None:
    use_device(config)

    from src.export.exporter import ExportForm, export_network
    from tools.benchmarks.inputs import build_exchange, build_network

    if args.exchange:
        build_exchange(args.task, config, args.images).write(args.exchange)
        return
    form = ExportForm("ONNX", config.batch_size, config.image_size, config.image_size)
    export_network(build_network(config), config.onnx_path, form, config.device_target)


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
    sys.exit(leave(run_command(main)))
