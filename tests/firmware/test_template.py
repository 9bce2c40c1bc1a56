from __future__ import annotations

import pytest

from edgeprune import resources
from edgeprune.errors import DeclarationError, ImageError
from edgeprune.firmware.template import render


@pytest.fixture
def templates(tmp_path, monkeypatch):
    folder = tmp_path / "firmware_templates" / "board"
    folder.mkdir(parents=True)
    monkeypatch.setattr(resources, "root", lambda: tmp_path)
    return folder


def test_renders_templates_and_copies_the_rest(templates):
    (templates / "a.c.j2").write_text("{% if fpu %}\nint fpu;\n{% endif %}\nint x = {{ x }};\n")
    (templates / "b.c").write_text("{{ not a template }}\n")
    files = render("board", "stream", {"x": 3, "fpu": False})
    assert files == {"a.c": "int x = 3;\n", "b.c": "{{ not a template }}\n"}


def test_takes_one_part_beside_the_templates_own_files(templates):
    (templates / "startup.c").write_text("int startup;\n")
    for part in ("stream", "model"):
        (templates / part).mkdir()
        (templates / part / "main.c.j2").write_text(f"int {part} = {{{{ x }}}};\n")
    files = render("board", "model", {"x": 1})
    assert files == {"startup.c": "int startup;\n", "main.c": "int model = 1;\n"}


def test_a_missing_value_is_an_error_that_names_file_and_value(templates):
    (templates / "a.c.j2").write_text("int x = {{ clock_hz }};\n")
    with pytest.raises(ImageError, match=r"a\.c\.j2: can't be rendered: 'clock_hz' is undefined"):
        render("board", "stream", {})


def test_an_unknown_template_lists_what_there_is(templates):
    with pytest.raises(DeclarationError, match=r"no firmware template 'cortex-x'(.|\n)*board"):
        render("cortex-x", "stream", {})
