"""Reads the offline files of a run as the services' own programs do, and compares them with the run's log.

    trackers.py RUN_FOLDER WANDB_FOLDER SWANLAB_FOLDER

WANDB_FOLDER is an `offline-run-…` of Weights & Biases, read by wandb's own log and messages; SWANLAB_FOLDER a `run-…` of
SwanLab, put through the code of `swanlab sync` up to where it would send. Exits with 1 where metrics, configuration, identity
or ending differ.

Run with a Python that has swanlab and a wandb that has its log in Python (0.21).
"""

import asyncio
import json
import math
import sys
import warnings
from pathlib import Path

warnings.simplefilter("ignore")
import wandb  # noqa: E402
import yaml  # noqa: E402
from swanlab.proto.swanlab.grpc.core.v1.sync_pb2 import DeliverSyncStartRequest  # noqa: E402
from swanlab.proto.swanlab.run.v1.run_pb2 import RunState  # noqa: E402
from swanlab.proto.swanlab.settings.core.v1.core_pb2 import CoreSettings  # noqa: E402
from swanlab.sdk.internal.core_python.metrics import RunMetrics  # noqa: E402
from swanlab.sdk.internal.core_python.sync import CoreSyncPython  # noqa: E402
from wandb.proto.wandb_internal_pb2 import Record  # noqa: E402
from wandb.sdk.internal.datastore import DataStore  # noqa: E402


def logged(folder):
    """Step and metrics of each row of the log, under the names of the services."""
    rows = []
    for line in (folder / "logging.jsonl").read_text().splitlines():
        row = json.loads(line)
        if "global_step/max_steps" not in row:
            continue
        step = int(row["global_step/max_steps"].split("/")[0])
        rows.append((step, {("eval/" + name[5:] if name.startswith("eval_") else "train/" + name): value
                            for name, value in row.items() if isinstance(value, (int, float))}))
    return rows


def read_wandb(folder):
    wandb._assert_is_internal_process = True
    store = DataStore()
    [file] = folder.glob("run-*.wandb")
    store.open_for_scan(str(file))
    records = []
    while (data := store.scan_data()) is not None:
        records.append(Record.FromString(data))
    assert records[0].WhichOneof("record_type") == "header" and [r.num for r in records] == [
        *range(1, len(records) + 1)]
    [run] = [r.run for r in records if r.HasField("run")]
    rows = []
    for record in records:
        if record.HasField("history"):
            values = {item.nested_key[0]: json.loads(item.value_json) for item in record.history.item}
            assert values.pop("_step") == record.history.step.num
            rows.append((values.pop("train/global_step"), values))
    config = {item.key: json.loads(item.value_json) for item in run.config.update}
    exits = [r.exit.exit_code for r in records if r.HasField("exit")]
    return run.run_id, rows, config, exits == [0]


def read_swanlab(folder):
    class Transport:
        records = []

        def put(self, records):
            self.records += records

        def request_finish(self):
            pass

    [file] = folder.glob("run-*.swanlab")
    core = CoreSyncPython()
    answer = core.deliver_sync_start(DeliverSyncStartRequest(
        core_settings=CoreSettings(run_id=file.stem[4:], run_dir=str(folder))))
    assert answer.success, answer.message
    core._transport, core._metrics = Transport(), RunMetrics()
    asyncio.run(core.read())
    core._request_transport_finish()
    rows = {}
    [saved] = [r.save for r in core._transport.records if r.HasField("save")]
    for record in core._transport.records:
        if record.HasField("scalar"):
            rows.setdefault(record.scalar.step, {})[record.scalar.key] = record.scalar.value.number
    for step, values in rows.items():
        assert values.pop("train/global_step") == step
    config = {name: entry["value"] for name, entry in yaml.safe_load(Path(saved.source_path).read_text()).items()}
    return core._start_record.id, list(rows.items()), config, core._finish_record.state == RunState.RUN_STATE_FINISHED


def compare(name, ours, theirs):
    largest = 0.0
    assert [step for step, _ in ours] == [step for step, _ in theirs], f"{name}: other steps"
    for (step, mine), (_, read) in zip(ours, theirs):
        for key, value in mine.items():
            difference = abs(value - read[key]) if math.isfinite(value) else 0
            # The log keeps eight digits behind the point, and six of seconds.
            assert difference <= (6e-7 if "speed" in key else 6e-9), f"{name}, step {step}, {key}: {read[key]}, the log says {value}"
            largest = max(largest, 0 if "speed" in key else difference)
    return largest


def joined(rows):
    """What SwanLab keeps: of several values of one step the first."""
    steps = {}
    for step, values in rows:
        steps[step] = values | steps.get(step, {})
    return list(steps.items())


if __name__ == "__main__":
    run, wandb_folder, swanlab_folder = map(Path, sys.argv[1:])
    rows = logged(run)
    arguments = json.loads((run / "args.json").read_text())
    for name, (identity, read, config, is_whole), expected in [
            ("wandb", read_wandb(wandb_folder), rows), ("swanlab", read_swanlab(swanlab_folder), joined(rows))]:
        expected = expected[-len(read):]
        largest = compare(name, expected, read)
        wrong = [key for key, value in arguments.items() if config[key] != value]
        assert not wrong, f"{name}: other configuration: {wrong}"
        assert is_whole, f"{name}: the run has no good end"
        print(f"{name}: run {identity}, {len(read)} rows, {sum(len(values) for _, values in read)} values, largest "
              f"difference {largest:.1e}; {len(config)} entries of the configuration are the same")
