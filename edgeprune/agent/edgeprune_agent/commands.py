"""What the commands do. Packages of the bundle are imported once it is verified."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from . import VERSION
from .arguments import RUNTIMES
from .bundle import Bundle, Packages, open_bundle
from .errors import AgentError, BundleError, UsageError
from .health import HealthFile, health
from .machine import now
from .mqtt import Broker, PahoClient, Publisher
from .output import write_atomically

if TYPE_CHECKING:
    from .detector import Detector
    from .engine import Engine

__all__ = ["COMMANDS"]

_THRESHOLD = 0.7
#: What a version says of the manifest.
_TOLD = ("recipe", "frontend_identity", "model_identity", "architecture", "runtime", "versions")


def _version(options: argparse.Namespace) -> dict[str, Any]:
    bundle = open_bundle(options.bundle)
    return {
        "kind": "version",
        "agent": VERSION,
        "release": bundle.release,
        "signed_by": bundle.signed_by,
        "python": sys.version.split()[0],
        "packages": None if bundle.packages is None else _packages(bundle.packages),
        **{name: bundle.manifest.get(name) for name in _TOLD},
    }


def _packages(packages: Packages) -> dict[str, Any]:
    """Of packages that the device installed: what was chosen and why, or what is wrong."""
    try:
        packages.check()
        record = packages.told()
    except BundleError as error:
        return {"wrong": error.message}
    return {"wrong": None, **{name: value for name, value in record.items() if name != "files"}}


def _health(options: argparse.Namespace) -> dict[str, Any]:
    started, release = now(), None
    try:
        bundle = _opened(options)
        release = bundle.release
        engine = _engine(options, bundle)
    except AgentError as error:
        _keep(options, health(release, healthy=False, detail=error.message, started=started))
        raise
    answer = health(release, healthy=True, detail="answers the golden clip", started=started)
    _keep(options, answer)
    return {**answer, **engine.describe()}


def _keep(options: argparse.Namespace, answer: Mapping[str, Any]) -> None:
    if options.file is None:
        return
    try:
        write_atomically(options.file, (json.dumps(answer) + "\n").encode())
    except OSError as error:
        raise UsageError(f"{options.file}: can't be written: {error.strerror}") from error


def _bench(options: argparse.Namespace) -> dict[str, Any]:
    bundle = _opened(options)
    from .bench import bench
    from .instructions import InstructionCounter

    with InstructionCounter() as counter:
        engine = _engine(options, bundle)
        return bench(engine, counter, iterations=options.iterations, warm_up=options.warm_up)


def _eval(options: argparse.Namespace) -> dict[str, Any]:
    bundle = _opened(options)
    from .evaluation import evaluate

    engine = _engine(options, bundle)
    return evaluate(engine, options.clips, options.clip_samples, options.scores)


def _listen(options: argparse.Namespace) -> dict[str, Any]:
    stop = threading.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda number, frame: stop.set())
    bundle = _opened(options)
    told = HealthFile(options.health_file, bundle.release)
    try:
        summary = _listen_until(stop, options, bundle, told)
    except Exception as error:
        told.tell(False, f"{type(error).__name__}: {error}")
        raise
    told.tell(False, f"ended: {summary['reason']}")
    return summary


def _listen_until(
    stop: threading.Event, options: argparse.Namespace, bundle: Bundle, told: HealthFile
) -> dict[str, Any]:
    from .listening import Listener
    from .sources import open_source

    engine = _engine(options, bundle)
    settings = engine.frontend.settings
    source = open_source(
        options.input,
        settings.sample_rate_hz,
        settings.hop,
        realtime=options.realtime,
        device=options.device,
    )
    every = max(1, round(options.every_ms * settings.sample_rate_hz / 1000 / settings.hop))
    every_ms = every * settings.hop * 1000 / settings.sample_rate_hz
    detector = _detector(options, engine, every_ms)
    publisher = _publisher(options, bundle, detector.keywords)
    try:
        listener = Listener(
            engine,
            detector,
            every=every,
            status_s=options.status_s,
            health=told,
            publisher=publisher,
        )
        return {**listener.run(source, stop), **engine.describe(), "every_ms": every_ms}
    finally:
        if publisher is not None:
            publisher.close()


def _detector(options: argparse.Namespace, engine: Engine, every_ms: float) -> Detector:
    from .detector import Detector

    thresholds = {}
    for text in options.threshold:
        label, _, number = text.rpartition("=")
        try:
            thresholds[label] = float(number)
        except ValueError:
            thresholds[label] = -1.0
        if not 0 <= thresholds[label] <= 1:
            raise UsageError(f"--threshold {text}: {number!r} is no number from 0 to 1")
        if label and label not in engine.labels:
            known = ", ".join(engine.labels)
            raise UsageError(f"--threshold {text}: the network knows {known}")
    return Detector(
        engine.labels,
        thresholds=thresholds,
        threshold=thresholds.get("", _THRESHOLD),
        smoothing=max(1, round(options.smooth_ms / every_ms)),
        refractory_s=options.refractory_ms / 1000,
    )


def _publisher(
    options: argparse.Namespace, bundle: Bundle, keywords: Sequence[str]
) -> Publisher | None:
    if options.mqtt is None:
        return None
    host, _, port = options.mqtt.partition(":")
    port = port or "1883"
    if not host or not port.isdigit() or not 0 < int(port) < 1 << 16:
        raise UsageError(f"--mqtt {options.mqtt}: HOST or HOST:PORT is needed")
    for text in (options.mqtt_node, options.mqtt_topic, options.mqtt_discovery):
        if set(text or "") & set("+#\0"):
            raise UsageError(f"{text!r} can't be in an MQTT topic: + and # stand for others")
    password = ""
    if options.mqtt_password_file is not None:
        try:
            password = options.mqtt_password_file.read_text(encoding="utf-8").rstrip("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{options.mqtt_password_file}: can't be read: {error}") from error
    named = {"node": options.mqtt_node} if options.mqtt_node else {}
    broker = Broker(
        host,
        int(port),
        user=options.mqtt_user,
        password=password,
        topic=options.mqtt_topic,
        discovery=options.mqtt_discovery,
        **named,
    )
    return Publisher(broker, PahoClient(), keywords, bundle.release)


def _opened(options: argparse.Namespace) -> Bundle:
    """Verified, so that its packages may be imported."""
    bundle = open_bundle(options.bundle)
    bundle.put_on_import_path()
    return bundle


def _engine(options: argparse.Namespace, bundle: Bundle) -> Engine:
    from .engine import open_engine

    runtime = options.runtime or bundle.manifest.get("runtime") or "auto"
    if runtime not in ("auto", *RUNTIMES):
        raise BundleError(f"the bundle asks for the runtime {runtime!r}; {', '.join(RUNTIMES)} are")
    return open_engine(bundle, runtime=runtime, resolver=options.resolver, threads=options.threads)


COMMANDS: Mapping[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "version": _version,
    "health": _health,
    "bench": _bench,
    "eval": _eval,
    "listen": _listen,
}
