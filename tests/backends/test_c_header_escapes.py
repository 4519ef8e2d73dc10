"""No name and no text of a policy breaks out of the C into which it is written."""

from __future__ import annotations

import importlib
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tests.backends.driver import STRICT, compiler
from vmcsc.architecture.database import Database
from vmcsc.backend import emit
from vmcsc.capabilities.cpu import Cpu
from vmcsc.errors import VmcscError
from vmcsc.expression import value
from vmcsc.pipeline import compile
from vmcsc.source import Source, read_source

c_text = importlib.import_module("vmcsc.backends.c_header.text")  # a back end has no name for type checkers

EVIL = '#error "out"'

SUMMARIES = [
    "*/ " + EVIL,
    "* / */*/ " + EVIL,
    "/* " + EVIL,
    "/*/ " + EVIL,
    "//*//* */",
    "**/" * 40 + EVIL,
    "??/",
    "*??/\n/",
    "???/???/",
    "ends with a backslash \\",
    "*\\",
    "\\*",
    "*\\/",
    "/\\*",
    "a line\nand another\r\n*/ " + EVIL,
    "\t\v\f\x1b[31m\x00",
    "\u2028\u2029\u202e\u0085*/",
    "ein Gast, \u0434\u0432\u0430, \u4e09, \U0001f600, \u00e9",
    "\ufeff\u200b\u00ad",
    "x" * 5000,
    "*/" * 3000,
    "\\" * 300,
    "x" * 105 + "*/" + "y" * 104 + "\\",
    "%s %n {0} {braces} $(touch out) `touch out`",
    "",
]

KEYWORDS = [
    *("auto", "break", "case", "char", "const", "continue", "default", "do", "double", "else", "enum", "extern"),
    *("float", "goto", "if", "inline", "int", "long", "register", "restrict", "return", "short", "signed", "sizeof"),
    *("static", "struct", "switch", "typedef", "union", "unsigned", "void", "volatile", "while", "_Bool", "_Atomic"),
    *("alignas", "asm", "bool", "catch", "class", "constexpr", "delete", "explicit", "export", "friend", "mutable"),
    *("namespace", "new", "noexcept", "nullptr", "operator", "private", "public", "template", "this", "throw", "try"),
    *("typename", "using", "virtual", "xor", "co_await", "concept", "uint64_t", "main", "errno", "NULL", "EOF"),
    *("unix", "linux", "i386", "__attribute__", "__LINE__", "c", "a", "v", "w", "f", "word", "value", "context"),
]
"""Of C and C++, and other words that mean something to a compiler or to the generated code itself."""


def header(text: str | Source, database: Database, **options: object) -> str:
    cpu = Cpu("x", "x")
    result = compile(text, cpu, database)
    assert result.vmcs is not None, [d.message for d in result.diagnostics]
    (artifact,) = emit(result.vmcs, "c-header", **options)
    assert isinstance(artifact.content, str)
    return artifact.content


def compiles(texts: dict[str, str], folder: Path) -> None:
    """All of them in one C and one C++ file, where a comment that does not end or a spliced line would show."""
    for name, text in texts.items():
        (folder / f"{name}.h").write_text(text, encoding="utf-8")
    source = "".join(f'#include "{name}.h"\n#ifndef VMCSC_OK\n#error "{name}"\n#endif\n' for name in texts)
    functions = "".join(f"int (*use_{n})(const struct vmcsc_capabilities *, const struct {name}_arguments *,"
                        f" struct {name}_vmcs *) = {name}_resolve;\n" for n, name in enumerate(texts))  # fmt: skip
    for compiler_name, suffix, standards in (("gcc", "c", ("c99", "c17")), ("g++", "cc", ("c++17",))):
        path = folder / f"all.{suffix}"
        path.write_text(source + functions)
        for standard in standards:
            trigraphs = () if standard == "c++17" else ("-trigraphs",)
            command = [compiler(compiler_name), f"-std={standard}", *trigraphs, *STRICT, "-fsyntax-only", path]
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
            assert done.returncode == 0, done.stderr[:3000]


def named(text: str, name: str, database: Database, summary: str) -> str:
    """The header of a policy with this summary, however it would be written."""
    result = compile(text, Cpu("x", "x"), database)
    assert result.vmcs is not None
    vmcs = replace(result.vmcs, policy=replace(result.vmcs.policy, summary=summary, name=name))
    (artifact,) = emit(vmcs, "c-header")
    assert isinstance(artifact.content, str)
    return artifact.content


def test_no_summary_leaves_its_comment(database: Database, tmp_path: Path) -> None:
    plain = "policy NAME { primary { require hlt_exiting } }"
    texts = {
        f"p{n}": named(plain.replace("NAME", f"p{n}"), f"p{n}", database, summary)
        for n, summary in enumerate(SUMMARIES)
    }
    compiles(texts, tmp_path)
    bare = named(plain.replace("NAME", "p0"), "p0", database, "")
    for name, text in texts.items():
        assert (
            text.partition("*/")[2].replace(f"{name}_", "p0_").replace(f" {name} ", " p0 ") == bare.partition("*/")[2]
        )


def test_summaries_as_policies_write_them_are_shown_as_they_mean(database: Database) -> None:
    text = header('policy p { summary "a \\"quoted\\" word, a \\\\ and */" }', database)
    assert ' * Policy p: a "quoted" word, a / and * /\n' in text


def test_a_comment_is_never_left_whatever_the_text() -> None:
    pieces = ["*", "/", "?", "\\", "\n", "x", " "]
    texts = [""]
    for _ in range(5):
        texts = [text + piece for text in texts for piece in pieces]
    for text in texts:
        safe = c_text.comment_text(text)
        assert "\n" not in safe and "\\" not in safe and "??" not in safe, repr(text)
        assert "*/" not in safe and "/*" not in safe, repr(text)
        assert c_text.comment([safe]).count("*/") == 1, repr(text)


def test_readable_text_stays_readable() -> None:
    assert c_text.comment_text("RDTSC does not exit (see 25.1.3): 50% of a/b * c?") == (
        "RDTSC does not exit (see 25.1.3): 50% of a/b * c?"
    )
    assert c_text.comment_text("zwölf Übergänge, 三") == "zwölf Übergänge, 三"


def test_names_may_be_words_of_c_and_of_cpp(database: Database, tmp_path: Path) -> None:
    texts = {}
    for word in KEYWORDS:
        text = f"policy {word} {{ param {word} : u64 = 1; tsc_offset = {word}; exceptions {{ intercept all }} }}"
        texts[word] = header(text, database)
        assert f"struct {word}_arguments" in texts[word]
    compiles(texts, tmp_path)


def test_parameters_of_one_policy_may_have_all_these_names(database: Database, tmp_path: Path) -> None:
    lines = [f"  param {word} : u{8 << n % 4}" for n, word in enumerate(KEYWORDS)]
    uses = [f"  when {word} == 1 {{ primary {{ prefer hlt_exiting }} }}" for word in KEYWORDS]
    derived = [f"  param {word}_{n} : u64 = u64({word}) + 1" for n, word in enumerate(KEYWORDS)]
    text = "\n".join(["policy p {", *lines, *derived, *uses, "  tsc_offset = int_18", "}"])
    compiles({"p": header(text.replace("int_18", f"int_{KEYWORDS.index('int')}"), database)}, tmp_path)


def test_policies_that_differ_in_case_alone_do_not_hide_each_other(database: Database, tmp_path: Path) -> None:
    names = {"mine": "hlt_exiting", "Mine": "rdtsc_exiting", "MINE": "pause_exiting"}
    compiles(
        {
            name: header(f"policy {name} {{ primary {{ require {control} }} }}", database)
            for name, control in names.items()
        },
        tmp_path,
    )


@pytest.mark.parametrize("name", ["vmcsc", "vmcsc_word", "VMCSC", "Vmcsc_rule"])
def test_a_prefix_that_the_header_itself_uses_is_refused(name: str, database: Database) -> None:
    with pytest.raises(VmcscError, match="begin with vmcsc"):
        header(f"policy {name} {{ primary {{ require hlt_exiting }} }}", database)
    assert "struct own_vmcs" in header(f"policy {name} {{ primary {{ require hlt_exiting }} }}", database, prefix="own")


@pytest.mark.parametrize("prefix", ["", "1a", "a-b", "a b", "a;", "é", "a\n", 'a"', "int x; struct y"])
def test_a_prefix_is_an_identifier(prefix: str, database: Database) -> None:
    text = "policy p { primary { require hlt_exiting } }"
    if prefix == "":
        assert "struct p_vmcs" in header(text, database, prefix=prefix)
        return
    with pytest.raises(VmcscError, match="not a C identifier"):
        header(text, database, prefix=prefix)


FILES = [
    "plain.vmcs",
    "with space.vmcs",
    "*.vmcs",
    "??\\ .vmcs",
    "back\\",
    "new\nline.vmcs",
    "quote'\".vmcs",
    "$(touch out);`touch out`.vmcs",
    "\u202egnp.vmcs",
    "\udcff.vmcs",
]


def test_no_file_name_leaves_the_comment_in_which_it_stands(database: Database, tmp_path: Path) -> None:
    texts = {}
    for n, name in enumerate(FILES):
        path = tmp_path / name
        path.write_text(f"policy p{n} {{ primary {{ require hlt_exiting }} }}")
        texts[f"p{n}"] = header(read_source(path), database)
        assert texts[f"p{n}"].encode("utf-8")
    (tmp_path / "*").mkdir()
    hostile = tmp_path / "*" / "evil.vmcs"
    hostile.write_text("policy evil { primary { require hlt_exiting } }")
    texts["evil"] = header(read_source(hostile, f"*/ {EVIL} /*"), database)
    folder = tmp_path / "out"
    folder.mkdir()
    compiles(texts, folder)


def test_the_command_in_the_comment_can_be_copied(database: Database, tmp_path: Path) -> None:
    """The name of the file is quoted for a shell."""
    path = tmp_path / "a b$(c).vmcs"
    path.write_text("policy p { primary { require hlt_exiting } }")
    text = header(read_source(path, "a b$(c).vmcs"), database, stdint=False, prefix="q")
    assert " * To regenerate: vmcsc emit c-header 'a b$(c).vmcs' --no-stdint --prefix q\n" in text


def test_the_title_of_a_cpu_stays_in_its_comment(database: Database, tmp_path: Path) -> None:
    msrs = {"ia32_vmx_basic": value.known(64, 1)}
    result = compile("policy p { primary { prefer hlt_exiting } }", Cpu("x", f"*/ {EVIL}", msrs), database)
    assert result.vmcs is not None
    (artifact,) = emit(result.vmcs, "c-header")
    assert isinstance(artifact.content, str)
    assert re.search(r"^ \* On \* / #error", artifact.content, re.MULTILINE)
    compiles({"p": artifact.content}, tmp_path)


def test_targets_and_their_conditions_are_quoted_in_comments_without_harm(database: Database, tmp_path: Path) -> None:
    text = """policy p {
  exceptions {
    intercept page_fault when error_code & 1 == 0   # */ #error "out"
    pass 0..3, debug
    intercept page_fault when (error_code & 4   # ??/ \\
      == 4), 7..9
  }
}
"""
    compiles({"p": header(text, database)}, tmp_path)


def test_long_names_compile(database: Database, tmp_path: Path) -> None:
    name = "n" * 1000
    texts = {name[:200]: header(f"policy {name[:200]} {{ param {name} : u64; tsc_offset = {name} }}", database)}
    compiles(texts, tmp_path)
