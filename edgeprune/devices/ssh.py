"""A device with SSH and Python: the release that is deployed there, run by its own agent."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol, TypeVar

import numpy as np

from edgeprune.closing import Closing
from edgeprune.cores import CoreName
from edgeprune.devices.agent import Agent, Counter, service_options
from edgeprune.devices.agent_answers import (
    BenchAnswer,
    EvalAnswer,
    FrontendAnswer,
    LabelsAnswer,
    Release,
    parse,
)
from edgeprune.devices.base import (
    Cost,
    DeviceInfo,
    Features,
    Pcm,
    Result,
    Scores,
    check_identity,
    checked_clip,
    checked_features,
)
from edgeprune.errors import (
    DeviceError,
    IdentityError,
    RemoteError,
    RemoteFileError,
    printable,
)
from edgeprune.progress import Progress, SilentProgress
from edgeprune.remote import Remote, connect
from edgeprune.ssh_target import Ssh

__all__ = ["Expected", "Reach", "SshDevice", "SshSession"]

_MANIFEST = "manifest.json"
_LARGEST_MANIFEST = 16 << 20
_SHORT_S = 60.0
#: Folders of clips that a check left behind when it was cut off are removed after so many minutes.
_STALE_MIN = 24 * 60

_A = TypeVar("_A", EvalAnswer, BenchAnswer)


class Reach(Protocol):
    """How a host is reached; :func:`edgeprune.remote.connect` is one."""

    def __call__(self, ssh: Ssh, *, target: str) -> Remote: ...


@dataclass(frozen=True)
class Expected:
    """What must be deployed.

    Attributes:
        frontend_identity: of the front-end.
        model_identity: of the model.
        labels: in the order of the scores.
        deploy: the command that deploys it, up to the target.
    """

    frontend_identity: str
    model_identity: str
    labels: tuple[str, ...]
    deploy: str = "invoke deploy"


@dataclass(frozen=True)
class SshDevice:
    """A host that edgeprune deployed a release to.

    Attributes:
        name: of the target.
        core: of the target.
        ssh: how it is reached, and where the release lies.
        expected: what must run there; None takes what there is.
        reach: connects.
    """

    name: str
    core: CoreName
    ssh: Ssh
    expected: Expected | None = None
    reach: Reach = connect

    def open(self) -> SshSession:
        """Connect, and look at what is deployed.

        Raises:
            RemoteError: the host can't be reached, or refuses.
            DeviceError: nothing is deployed there, or its manifest can't be read.
            IdentityError: another front-end or model is deployed.
        """
        remote = self.reach(self.ssh, target=self.name)
        try:
            return SshSession(self, remote)
        except BaseException:
            remote.close()
            raise

    @property
    def deploy(self) -> str:
        """The command that deploys."""
        command = self.expected.deploy if self.expected else "invoke deploy"
        return f"{command} --target {self.name}{self.ssh.selection}"


class SshSession(Closing):
    """A connected device; made by :meth:`SshDevice.open`.

    Attributes:
        release: what is deployed.
        bundle_bytes: its size, the manifest included.
        where: the host, as reports call it.
    """

    def __init__(self, device: SshDevice, remote: Remote) -> None:
        """Read what is deployed."""
        self.where = remote.name
        self._device, self._remote = device, remote
        self._root = PurePosixPath(device.ssh.root)
        self._current = self._root / "current"
        self._agent = Agent(
            remote,
            self._current / "agent" / "run.py",
            service_options(device.ssh.listen),
            timeout_s=device.ssh.check_timeout_s,
            deploy=device.deploy,
        )
        self._folder: PurePosixPath | None = None
        manifest = self._deployed(_MANIFEST)
        self.release = parse(Release, manifest, what=_MANIFEST, where=self.where)
        self.bundle_bytes = len(manifest) + sum(f.bytes for f in self.release.files.values())
        self._info = self._described()
        self._check_identities()

    def info(self) -> DeviceInfo:
        """What is deployed."""
        return self._info

    def evaluate(self, clips: Pcm, progress: Progress | None = None) -> tuple[Scores, EvalAnswer]:
        """Run clips there, with the arguments that the service has.

        Args:
            clips: int16 [clips, clip_samples].
            progress: where the upload and the run report to.

        Returns:
            Scores int8 [clips, labels], and what the agent says of the run.

        Raises:
            DeviceError: the clips have another type or shape; the agent fails, says something
                else than it must, or is of another release meanwhile.
            RemoteError: the connection broke, or the host did not answer in time.
        """
        samples = self._info.clip_samples
        if clips.dtype != np.int16 or clips.shape[1:] != (samples,) or not len(clips):
            raise DeviceError(
                f"clips are int16 [clips, {samples}]; these are {clips.dtype} {list(clips.shape)}",
                where=self.where,
            )
        told = progress or SilentProgress()
        folder = self._scratch()
        there, scores = folder / "clips.s16", folder / "scores.i8"
        self._upload(clips, there, told)
        more = ("--clips", str(there), "--clip-samples", str(samples), "--scores", str(scores))
        with told.task(f"run clips on {self.where}", len(clips), "clips") as task:
            answer = self._asked(EvalAnswer, "eval", more, Counter(task, len(clips)))
        if answer.clips != len(clips) or answer.labels != self._info.labels:
            raise DeviceError(
                f"the agent ran {answer.clips} clips for the labels {', '.join(answer.labels)}; "
                f"it was given {len(clips)} for {', '.join(self._info.labels)}",
                where=self.where,
            )
        return self._scores(scores, len(clips)), answer

    def bench(self) -> BenchAnswer:
        """Measure the latency there, with the arguments that the service has.

        Raises:
            DeviceError: as :meth:`evaluate`.
            RemoteError: likewise.
        """
        return self._asked(BenchAnswer, "bench")

    def infer_pcm(self, clip: Pcm, *, measure: bool = False, identity: str | None = None) -> Result:
        """See :meth:`edgeprune.devices.base.Session.infer_pcm`; the cost has wall time only.

        The wall time is that of the whole clip through the front-end and of one inference.
        """
        check_identity(identity, self._info.frontend_identity, where=self.where)
        samples = checked_clip(clip, self._info.clip_samples, where=self.where)
        scores, answer = self.evaluate(samples[np.newaxis])
        wall_s = (answer.features_ms.p50 + answer.inference_ms.p50) / 1000
        return Result(scores[0], Cost(wall_s=wall_s) if measure else None)

    def infer_clips(self, clips: Pcm) -> Scores:
        """See :meth:`edgeprune.devices.base.BatchSession.infer_clips`."""
        return self.evaluate(clips)[0]

    def infer_features(self, features: Features, identity: str, *, measure: bool = False) -> Result:
        """Refuse: the agent takes PCM only.

        Raises:
            IdentityError: the features are of another front-end.
            DeviceError: always otherwise.
        """
        shape = (self._info.frames, self._info.features)
        checked_features(features, shape, where=self.where)
        check_identity(identity, self._info.frontend_identity, where=self.where)
        raise DeviceError(
            "the agent takes PCM, not features",
            where=self.where,
            hint="give it the clip; it computes the same features",
        )

    def frontend_pcm(self, clip: Pcm) -> Features:
        """Refuse: the agent tells scores only.

        Raises:
            DeviceError: always.
        """
        checked_clip(clip, self._info.clip_samples, where=self.where)
        raise DeviceError(
            "the agent tells scores, not features",
            where=self.where,
            hint="the same C computes the same features on device = 'host'",
        )

    def close(self) -> None:
        """Remove what was uploaded, and close the connection."""
        folder, self._folder = self._folder, None
        if folder is not None:
            # A connection that broke says so elsewhere; the next check removes what is left.
            with suppress(RemoteError):
                self._remote.run(("rm", "-rf", "--", str(folder)), timeout_s=_SHORT_S)
        self._remote.close()

    def _deployed(self, name: str) -> bytes:
        """A file of the release that is deployed."""
        path = self._current / name
        try:
            return self._remote.read(path, limit=_LARGEST_MANIFEST)
        except RemoteFileError as error:
            if not error.missing:
                raise
            raise DeviceError(
                f"nothing is deployed: {path} is absent", where=self.where, hint=self._device.deploy
            ) from error

    def _described(self) -> DeviceInfo:
        frontend = parse(
            FrontendAnswer, self._deployed("frontend.json"), what="frontend.json", where=self.where
        )
        labels = parse(
            LabelsAnswer, self._deployed("labels.json"), what="labels.json", where=self.where
        )
        return DeviceInfo(
            device=self._device.name,
            core=self._device.core,
            clip_samples=frontend.clip_samples,
            frames=frontend.frames,
            features=frontend.features,
            fraction_bits=frontend.fraction_bits,
            labels=labels.root,
            frontend_identity=self.release.frontend_identity,
            model_identity=self.release.model_identity,
        )

    def _check_identities(self) -> None:
        expected, info = self._device.expected, self._info
        if expected is None:
            return
        for what, found, wanted in (
            ("front-end", info.frontend_identity, expected.frontend_identity),
            ("model", info.model_identity, expected.model_identity),
            ("labels", ", ".join(info.labels), ", ".join(expected.labels)),
        ):
            if found != wanted:
                raise IdentityError(
                    f"release {self.release.release} of recipe {self.release.recipe} is deployed, "
                    f"with {what} {found}; this recipe has {wanted}",
                    where=self.where,
                    hint=self._device.deploy,
                )

    def _scratch(self) -> PurePosixPath:
        """A folder there of this session's own."""
        if self._folder is None:
            parent = self._root / "check"
            stale = ("-mindepth", "1", "-maxdepth", "1", "-mmin", f"+{_STALE_MIN}")
            remove = ("-exec", "rm", "-rf", "--", "{}", "+")
            self._run("mkdir", "-p", "--", str(parent))
            # A path that begins with "(" or "!" is no path to find.
            self._run(
                "find", str(parent) if parent.is_absolute() else f"./{parent}", *stale, *remove
            )
            made = self._run("mktemp", "-d", "--", str(parent / "XXXXXXXX")).rstrip("\n")
            if PurePosixPath(made).parent != parent:
                raise DeviceError(f"mktemp there answers {printable(made)!r}", where=self.where)
            self._folder = PurePosixPath(made)
        return self._folder

    def _run(self, *command: str) -> str:
        return self._remote.run(command, timeout_s=_SHORT_S).text

    def _upload(self, clips: Pcm, there: PurePosixPath, progress: Progress) -> None:
        with tempfile.TemporaryDirectory(prefix="edgeprune-") as folder:
            file = Path(folder) / there.name
            clips.astype("<i2", copy=False).tofile(file)
            size = file.stat().st_size
            with progress.task(f"upload clips to {self.where}", size, "bytes") as task:
                self._remote.put(file, there, advance=task.advance)

    def _scores(self, path: PurePosixPath, clips: int) -> Scores:
        labels = len(self._info.labels)
        content = self._remote.read(path, limit=max(1, clips * labels))
        if len(content) != clips * labels:
            raise DeviceError(
                f"the agent wrote {len(content)} scores of {clips} clips and {labels} labels",
                where=self.where,
            )
        return np.frombuffer(content, dtype=np.int8).reshape(clips, labels)

    def _asked(
        self, kind: type[_A], name: str, more: Sequence[str] = (), counter: Counter | None = None
    ) -> _A:
        """The answer to a command, of the release that was there when the session began."""
        found = self._agent.ask(kind, name, more, counter)
        if found.release != self.release.release:
            raise IdentityError(
                f"release {found.release} answers; {self.release.release} was deployed when this "
                "began",
                where=self.where,
                hint="somebody deployed meanwhile; invoke check again",
            )
        return found
