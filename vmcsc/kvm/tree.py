"""A kernel tree as far as KVM's choice of VMX controls is concerned."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path

from vmcsc import codes
from vmcsc.architecture.database import Database
from vmcsc.architecture.kvm import Kvm, kvm_of
from vmcsc.diagnostic import Diagnostics
from vmcsc.kvm.behaviour import Behaviour, read_behaviour
from vmcsc.kvm.blocks import Blocks, read_blocks
from vmcsc.kvm.names import Names, read_names
from vmcsc.kvm.read import FIXED, MACROS, NotUnderstood, WordLists, read_words
from vmcsc.kvm.sources import KernelFile, KernelSources
from vmcsc.records import dataclass, replace

_VERSION = re.compile(r"(?m)^(VERSION|PATCHLEVEL|SUBLEVEL|EXTRAVERSION)[ \t]*=[ \t]*([\w.-]*)[ \t]*$")


@dataclass(frozen=True)
class Tree:
    """What was read. `form` is how the lists are stated, `config` the file of the function that uses them, `lists` that
    of macros, `names` and `features` those with definitions. `files` are all that were read.

    `checked`: the build fails where a control is changed at run time that no list names. `strict`: the module does
    not load where only one control of an entry and exit pair is there.
    """

    root: Path
    version: str
    kvm: Kvm
    form: str
    words: Mapping[str, WordLists]
    blocks: Blocks
    behaviour: Behaviour
    config: KernelFile
    lists: KernelFile | None
    names_file: KernelFile
    features: KernelFile | None
    files: tuple[KernelFile, ...]
    names: Names
    checked: bool
    strict: bool

    @property
    def patchable(self) -> bool:
        """Whether there are lists to edit."""
        return self.form != FIXED

    def required(self, word: str) -> int:
        """What is required and not masked again."""
        return self.words[word].required & ~self.blocks.masked.get(word, 0) if word in self.words else 0

    def optional(self, word: str) -> int:
        """What is used where the processor has it, and not required or masked."""
        if word not in self.words:
            return 0
        lists = self.words[word]
        return lists.optional & ~lists.required & ~self.blocks.masked.get(word, 0)

    @cached_property
    def names_by_word(self) -> Mapping[str, Mapping[int, str]]:
        """By word and bit the name that the tree has; one that a list uses goes first."""
        found = {}
        for name, word in self.kvm.words.items():
            names = self.names.with_prefix(word.prefix)
            lists = self.words.get(name)
            for one in (*lists.required_lists, *lists.optional_lists) if lists else ():
                names |= {bit: item for item in one.items if (bit := self.names.bit(item)) is not None}
            found[name] = names
        return found


def read_tree(root: Path, database: Database, diagnostics: Diagnostics) -> Tree | None:
    """What a folder with the sources of Linux says, or a finding about why nothing can be said."""
    kvm = kvm_of(database)
    if not root.is_dir():
        diagnostics.report(codes.KERNEL_TREE, f"{root} is not a folder", help="name the top folder of a Linux tree")
        return None
    sources = KernelSources(root, diagnostics)
    config = sources.first(kvm.files["config"])
    names_file = sources.first(kvm.files["names"])
    for what in ("lists", "features"):
        sources.first(kvm.files[what])
    if diagnostics.failed:
        return None
    if config is None or names_file is None:
        wanted = kvm.files["config"] if config is None else kvm.files["names"]
        message = f"{root} is no tree of Linux with KVM for Intel: it has none of {', '.join(wanted)}"
        diagnostics.report(codes.KERNEL_TREE, message, help="name the top folder of the tree, unpacked, not built only")
        return None
    try:
        tree = _read(sources, config, names_file, kvm)
    except NotUnderstood as error:
        message = f"{root} is a tree of a form that is not known: {error}"
        notes = ["nothing is guessed: a list that is misread would be a wrong patch"]
        diagnostics.report(codes.KERNEL_TREE, message, notes=notes)
        return None
    return None if diagnostics.failed else tree


def _read(sources: KernelSources, config: KernelFile, names_file: KernelFile, kvm: Kvm) -> Tree:
    lists = sources.first(kvm.files["lists"])
    features = sources.first(kvm.files["features"])
    reasons = read_names(sources.all(kvm.files["reasons"]))
    names = read_names(one for one in (names_file, features) if one is not None)
    form, words = read_words(config, lists, names, kvm)
    code = [one for one in (config, lists, *sources.all(kvm.files["further"])) if one is not None]
    known = read_names([names_file, *([features] if features else []), *code])
    version = sources.file(kvm.files["version"][0])
    blocks = read_blocks(config, kvm, names)
    check = kvm.build_check.replace(" ", "")
    return Tree(
        root=sources.root,
        version="" if version is None else _version(version.text),
        kvm=kvm,
        form=form,
        words=words,
        blocks=blocks,
        behaviour=_without_forced(read_behaviour(code, known, reasons, kvm), blocks),
        config=config,
        lists=lists if form == MACROS else None,
        names_file=names_file,
        features=features,
        files=tuple(file for file in sources.files if file is not version),
        names=names,
        checked=any(check in "".join(file.code.split()) for file in code),
        strict=any(kvm.minds in file.code for file in code),
    )


def _without_forced(behaviour: Behaviour, blocks: Blocks) -> Behaviour:
    """What is forced at the end of the function is no change of the configuration, but what a patch of ours adds."""
    vcpu = dict(behaviour.vcpu)
    for word, mask in blocks.forced.items():
        vcpu[word] = tuple(
            one for one in vcpu.get(word, ()) if not (one.sets and one.condition is None and one.mask & mask)
        )
    return replace(behaviour, vcpu=vcpu)


def _version(makefile: str) -> str:
    parts: dict[str, str] = dict(_VERSION.findall(makefile[:2000]))
    numbers = [parts.get(name, "") for name in ("VERSION", "PATCHLEVEL", "SUBLEVEL")]
    return ".".join(number for number in numbers if number) + parts.get("EXTRAVERSION", "")


def digests(tree: Tree) -> Iterator[tuple[str, str]]:
    """SHA-256 and path of each file that was read, as sha256sum prints them."""
    return ((file.digest, file.path) for file in tree.files)
