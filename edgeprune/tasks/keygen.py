"""``invoke keygen``: the key that signs bundles."""

from __future__ import annotations

from pathlib import Path

from invoke.context import Context

from edgeprune.tasks.command import command

__all__ = ["TASKS"]


@command(out="the private key; the public key is written beside it, with .pub at its end")
def keygen(c: Context, out: str = "edgeprune-signing.key") -> None:
    """Make the keys that bundles are signed with."""
    from edgeprune.bundle.signature import PINNED, make_keys

    keys = make_keys(Path(out))
    print(f"private key  {keys.private}  (keep it; readable by you only)")
    print(f"public key   {keys.public}")
    print(f"fingerprint  {keys.fingerprint}")
    print(f"Sign with it:      ssh.signing_key = '{keys.private}' in the target")
    print(f"Pin it on a host:  its owner copies {keys.public.name} to ~/{PINNED} there;")
    print("                   from then on it takes no bundle that this key did not sign.")


TASKS = (keygen,)
