from __future__ import annotations

import json

import pytest

from edgeprune.codegen import Manifest, Region
from edgeprune.errors import ImageError


def test_reads_the_fields(program):
    manifest = Manifest.read(program)
    assert manifest.labels == ("_silence_", "yes", "no")
    assert manifest.layers[1].output == Region(52, 3, (1, 3))
    assert [layer.symbol for layer in manifest.layers] == [
        "edgeprune_layer_00_dense",
        "edgeprune_layer_01_sum",
    ]


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ImageError, match=r"program\.json: can't be read"):
        Manifest.read(tmp_path)


def test_a_missing_field_is_named(program):
    path = program / "program.json"
    table = json.loads(path.read_text())
    del table["arena_bytes"]
    path.write_text(json.dumps(table))
    with pytest.raises(ImageError, match="arena_bytes: Field required"):
        Manifest.read(program)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"identity": "XYZ"}, "identity: String should match"),
        ({"frontend_identity": 3}, "frontend_identity"),
        ({"schema_version": 2}, "has the layout 2; 1 is needed"),
        ({"layers": 3}, "is damaged: layers"),
    ],
)
def test_malformed_fields_are_refused(program, edit_manifest, changes, message):
    edit_manifest(**changes)
    with pytest.raises(ImageError, match=message):
        Manifest.read(program)


def test_text_that_is_not_json_is_refused(program):
    (program / "program.json").write_text("{")
    with pytest.raises(ImageError, match="is damaged"):
        Manifest.read(program)
