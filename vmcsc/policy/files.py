"""Which texts make up a policy: those that it extends, each before the one that extends it, and what they include."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

from vmcsc import codes
from vmcsc.architecture.database import Database
from vmcsc.diagnostic import Diagnostics, Label
from vmcsc.policy.suggest import MAX_LENGTH
from vmcsc.records import dataclass, field, replace
from vmcsc.source import Source, Span, UnreadableText, read_source
from vmcsc.syntax import tree
from vmcsc.syntax.parser import parse_policy_file

SUFFIX = ".vmcs"
PROJECT_MARKERS = (".git", "pyproject.toml", "vmcsc.toml")
MAX_TEXTS = 64
"""How many texts one policy may be made of."""


@dataclass
class PolicyTexts:
    """Reads a policy and what it stands on. `search` are folders in which `extends` looks after the policy's own."""

    database: Database
    diagnostics: Diagnostics
    search: Sequence[Path] = ()
    chain: list[tree.Policy] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)
    _open: list[Path] = field(default_factory=list)
    _done: set[Path] = field(default_factory=set)
    _listed: dict[Path, Mapping[str, Sequence[Path]]] = field(default_factory=dict)

    def read(self, source: Source) -> tree.Policy | None:
        """Put the policy of `source` on the chain, behind those that it extends. None if the text holds none."""
        self.sources.append(source)
        parsed = parse_policy_file(source, self.diagnostics)
        policy = self._only_policy(parsed)
        if policy is None:
            return None
        body = self._with_included(policy.body, source, [] if source.path is None else [_real(source.path)])
        policy = replace(policy, body=body)
        names = policy.extends + tuple(n for s in body if isinstance(s, tree.Extends) for n in s.names)
        for name in names:
            self._extend(name, source)
        self.chain.append(policy)
        return policy

    def _only_policy(self, parsed: tree.PolicyFile) -> tree.Policy | None:
        policies = [statement for statement in parsed.body if isinstance(statement, tree.Policy)]
        for statement in parsed.body:
            if policies and statement is not policies[0]:
                second = isinstance(statement, tree.Policy)
                self.diagnostics.report(
                    codes.SECOND_POLICY if second else codes.MISPLACED,
                    "a file holds one policy" if second else "this stands outside the policy",
                    statement.span,
                    labels=[Label(policies[0].span, "the policy of this file")],
                    help="move it to a file of its own" if second else "move it between the braces of the policy",
                )
        if policies:
            return policies[0]
        if not self.diagnostics.failed:
            span = parsed.body[0].span if parsed.body else Span(parsed.source, 0, 0)
            help = "begin with `policy NAME {`; a fragment is checked through the policy that includes it"
            self.diagnostics.report(codes.NO_POLICY, "this file holds no policy", span, help=help)
        return None

    # --- extends ---

    def _extend(self, name: tree.Name, source: Source) -> None:
        path = self._find(name.text, source)
        if path is None and source.path is not None and _stem(source.path) == name.text:
            help = "remove the statement"
            self.diagnostics.report(codes.CYCLE, "a policy cannot extend itself", name.span, help=help)
            return
        if path is None:
            known = [] if self.diagnostics.full else self._candidates(source)
            near = get_close_matches(name.text[:MAX_LENGTH], known, n=1)
            help = f"did you mean `{near[0]}`?" if near else f"known here: {', '.join(sorted(known)[:8])}"
            message = f"no policy `{name.text}` lies beside this one, in the search paths or among the shipped ones"
            self.diagnostics.report(codes.POLICY_NOT_FOUND, message, name.span, help=help)
            return
        if path in self._open:
            names = " -> ".join(open_path.name for open_path in [*self._open[self._open.index(path) :], path])
            self.diagnostics.report(codes.CYCLE, f"policies extend each other in a circle: {names}", name.span)
            return
        if path in self._done or not self._count(name.span):
            return
        self._done.add(path)
        base = self._source(path, name.span, codes.POLICY_NOT_FOUND.id)
        if base is not None:
            self._open.append(path)
            self.read(base)
            self._open.pop()

    def begin(self, source: Source) -> tree.Policy | None:
        """As `read`, for the text with which everything begins."""
        if source.path is not None:
            self._open.append(_real(source.path))
        return self.read(source)

    def _find(self, name: str, source: Source) -> Path | None:
        own = None if source.path is None else _real(source.path)
        for folder in self._folders(source):
            for path in self._policies_in(folder).get(name, ()):
                if _real(path) != own:
                    return _real(path)
        return None

    def _folders(self, source: Source) -> list[Path]:
        beside = [] if source.path is None else [source.path.parent]
        return [*beside, *self.search, *(folder / "policies" for folder in self.database.folders)]

    def _candidates(self, source: Source) -> list[str]:
        return [stem for folder in self._folders(source) for stem in self._policies_in(folder)]

    def _policies_in(self, folder: Path) -> Mapping[str, Sequence[Path]]:
        """The files of a folder by the names of their policies; looked up once, however many names are asked for."""
        if folder not in self._listed:
            found: dict[str, list[Path]] = {}
            for path in sorted(folder.glob(f"*{SUFFIX}")) if folder.is_dir() else ():
                found.setdefault(_stem(path), []).append(path)
            self._listed[folder] = found
        return self._listed[folder]

    # --- include ---

    def _with_included(
        self, body: Iterable[tree.Statement], source: Source, including: list[Path]
    ) -> tuple[tree.Statement, ...]:
        found: list[tree.Statement] = []
        for statement in body:
            if isinstance(statement, tree.Include):
                found.extend(self._included(statement, source, including))
            else:
                found.append(statement)
        return tuple(found)

    def _included(self, include: tree.Include, source: Source, including: list[Path]) -> tuple[tree.Statement, ...]:
        reason = None
        path = None
        if source.path is None:
            reason = "a policy that is not a file cannot include one"
        elif Path(include.path).is_absolute():
            reason = "the path is absolute; write it relative to this file"
        else:
            path = _real(source.path.parent / include.path)
            root = _project_root(_real(source.path))
            if not path.is_relative_to(root):
                reason = f"it lies outside the project ({root.name or root})"
            elif path in including:
                names = " -> ".join(p.name for p in [*including[including.index(path) :], path])
                self.diagnostics.report(codes.CYCLE, f"files include each other in a circle: {names}", include.span)
                return ()
        if reason is not None or path is None:
            self.diagnostics.report(
                codes.BAD_INCLUDE, f"`{_shown(include.path)}` cannot be included: {reason}", include.span
            )
            return ()
        if not self._count(include.span):
            return ()
        fragment = self._source(path, include.span, codes.BAD_INCLUDE.id)
        if fragment is None:
            return ()
        self.sources.append(fragment)
        parsed = parse_policy_file(fragment, self.diagnostics)
        for statement in parsed.body:
            if isinstance(statement, tree.Policy):
                help = "include files that hold statements only, or write `extends`"
                message = f"`{_shown(include.path)}` holds a policy of its own"
                self.diagnostics.report(
                    codes.BAD_INCLUDE, message, include.span, labels=[Label(statement.span, "here")], help=help
                )
                return ()
        return self._with_included(parsed.body, fragment, [*including, path])

    def _source(self, path: Path, span: Span, code: str) -> Source | None:
        try:
            return read_source(path)
        except UnreadableText as error:
            wanted = codes.BAD_INCLUDE if code == codes.BAD_INCLUDE.id else codes.POLICY_NOT_FOUND
            labels = [] if error.span is None else [Label(error.span, "here")]
            self.diagnostics.report(wanted, f"{path.name} cannot be read: {error.reason}", span, labels=labels)
            return None

    def _count(self, span: Span) -> bool:
        if len(self.sources) < MAX_TEXTS:
            return True
        if len(self.sources) == MAX_TEXTS:
            self.sources.append(self.sources[-1])
            message = f"a policy may be made of at most {MAX_TEXTS} files"
            self.diagnostics.report(codes.BAD_INCLUDE, message, span)
        return False


def _real(path: Path) -> Path:
    """The path with links followed; unlike `Path.resolve` it says nothing of links in a circle, which no file has."""
    return Path(os.path.realpath(path))


def _stem(path: Path) -> str:
    """The name of the policy in a file: `kvm-6.1.vmcs` holds `kvm_6_1`."""
    return path.name.removesuffix(SUFFIX).replace("-", "_").replace(".", "_")


def _project_root(path: Path) -> Path:
    """The nearest folder around `path` that is marked as a project, else its own folder."""
    for folder in path.parents:
        if any((folder / marker).exists() for marker in PROJECT_MARKERS):
            return folder
    return path.parent


def _shown(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."
