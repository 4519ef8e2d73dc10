"""What VMX consists of, as the specs state it: fields, control words, layouts, MSRs, rules. All immutable.

Expressions (`exists`, `when`, `require`) are kept as text here; `vmcsc.expression` binds them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from vmcsc.records import dataclass

NATURAL = "natural"


@dataclass(frozen=True, slots=True)
class Bits:
    """A named range of bits within a layout, an MSR or a field; `values` names some of its values.

    `qemu` and `libvirt` are the names of the CPU feature that stands for the bit there, `libvirt` only where it
    differs; `vmxcap` is the label in the output of QEMU's script of that name, where it differs from `sdm`. `common`
    says what several processors have in common: their bits combined by `and` or `or`, the `min` or `max` of their
    numbers, or the number only if it is `equal` on all. `numbers`: the list of the database whose entries have the
    value as their number.
    """

    name: str
    high: int
    low: int
    sdm: str
    summary: str
    values: Mapping[str, int]
    status: str = "sdm"
    qemu: str | None = None
    libvirt: str | None = None
    vmxcap: str | None = None
    common: str = "equal"
    numbers: str | None = None

    @property
    def width(self) -> int:
        return self.high - self.low + 1

    @property
    def mask(self) -> int:
        """The bits of the range in place."""
        return ((1 << self.width) - 1) << self.low

    @property
    def place(self) -> str:
        """As the SDM writes it: `31:16`, or `5` for one bit."""
        return str(self.low) if self.high == self.low else f"{self.high}:{self.low}"


@dataclass(frozen=True)
class Entry:
    """What every named thing of the specs has.

    `name` is the snake_case name used everywhere, `sdm` the manual's, `also` further names that look-up knows,
    `exists` the condition under which a processor has it (None: always), `section` the SDM section's title.
    """

    name: str
    sdm: str
    summary: str
    section: str = ""
    also: tuple[str, ...] = ()
    linux: str | None = None
    status: str = "sdm"
    exists: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Every name by which the entry can be looked up."""
        linux = () if self.linux is None else (self.linux,)
        return (self.name, self.sdm, *self.also, *linux)


@dataclass(frozen=True, kw_only=True)
class Layout(Entry):
    """The meaning of the bits of a structured value of `width` bits."""

    width: int
    bits: tuple[Bits, ...]
    reserved: int = 0
    fixed_1: int = 0

    @cached_property
    def by_name(self) -> Mapping[str, Bits]:
        return {bits.name: bits for bits in self.bits}


@dataclass(frozen=True, kw_only=True)
class Field(Entry):
    """A VMCS field. Natural-width fields are 64 bits wide on processors with Intel 64, which we assume."""

    encoding: int
    size: str
    type: str
    access: str
    layout: str | None = None

    @property
    def width(self) -> int:
        return 64 if self.size == NATURAL else int(self.size)

    @property
    def writable(self) -> bool:
        return self.access == "read_write"


@dataclass(frozen=True, slots=True)
class FieldEncoding:
    """Where an encoding states index, type and width, as (high bit, low bit), and their numbers."""

    high_access: int
    index: tuple[int, int]
    type: tuple[int, int]
    width: tuple[int, int]
    types: Mapping[str, int]
    widths: Mapping[str, int]
    high_width: str
    section: str

    def encode(self, type: str, width: str, index: int) -> int:
        """The encoding of a field of this type, width and index."""
        return self.types[type] << self.type[1] | self.widths[width] << self.width[1] | index << self.index[1]

    def index_of(self, encoding: int) -> int:
        high, low = self.index
        return encoding >> low & ((1 << (high - low + 1)) - 1)

    def high(self, field: Field) -> int | None:
        """The encoding that reaches the high half of `field`, where it has one."""
        return field.encoding | self.high_access if field.size == self.high_width else None


@dataclass(frozen=True, kw_only=True)
class Control(Entry):
    """One bit of a control word; `vmxcap` is its label in the output of vmxcap, where it differs from `sdm`."""

    word: str
    bit: int
    default1: bool = False
    linux_feature: str | None = None
    qemu: str | None = None
    vmxcap: str | None = None

    @property
    def mask(self) -> int:
        return 1 << self.bit

    @property
    def path(self) -> str:
        return f"{self.word}.{self.name}"

    @property
    def names(self) -> tuple[str, ...]:
        further = (self.path, self.linux_feature, self.qemu)
        return super().names + tuple(name for name in further if name is not None)


@dataclass(frozen=True, kw_only=True)
class ControlWord(Entry):
    """A word of controls, the field that holds it, and the MSRs that say which settings are allowed.

    `allowed_0` tells whether the MSR has allowed 0-settings in its lower half and allowed 1-settings in its upper
    half (bits that must be 1 exist), or is one 64-bit mask of allowed 1-settings. `vmxcap` is the heading above the
    word in the output of vmxcap.
    """

    field: str
    width: int
    msr: str
    true_msr: str | None
    allowed_0: bool
    activated_by: str | None
    reserved_default1: int
    controls: tuple[Control, ...]
    vmxcap: str | None = None

    @cached_property
    def by_name(self) -> Mapping[str, Control]:
        return {control.name: control for control in self.controls}

    @cached_property
    def by_bit(self) -> Mapping[int, Control]:
        return {control.bit: control for control in self.controls}


@dataclass(frozen=True, kw_only=True)
class Msr(Entry):
    """A model-specific register; `form` says how a capability MSR speaks of the settings it allows.

    `vmxcap` is the heading above it in the output of vmxcap; `fixes` names the layout of the register of which the MSR
    says what bits must or may be 1.
    """

    index: int
    capability: bool = False
    form: str = "bits"
    bits: tuple[Bits, ...] = ()
    reserved: int = 0
    layout: str | None = None
    vmxcap: str | None = None
    fixes: str | None = None

    @cached_property
    def by_name(self) -> Mapping[str, Bits]:
        return {bits.name: bits for bits in self.bits}


@dataclass(frozen=True)
class Cpuid:
    """Where CPUID tells something: bits `high` to `low` of a register, after EAX = `leaf` and ECX = `subleaf`."""

    leaf: int
    subleaf: int | None
    register: str
    high: int
    low: int

    def __str__(self) -> str:
        """As the SDM writes it: `CPUID.(EAX=07H,ECX=0):EBX[2]`."""
        subleaf = "" if self.subleaf is None else f",ECX={self.subleaf}"
        place = f"{self.high}" if self.high == self.low else f"{self.high}:{self.low}"
        return f"CPUID.(EAX={self.leaf:02X}H{subleaf}):{self.register.upper()}[{place}]"


@dataclass(frozen=True, kw_only=True)
class Fact(Entry):
    """Something a rule may ask of a processor besides its capability MSRs: `cpu.NAME`, `width` bits wide.

    `needed`: a processor where it is 0 has no VMX. `qemu` is the CPU feature that stands for it in QEMU and libvirt.
    `common` is as for `Bits`. `between` are the bounds of a value that is unknown. `bits_of` names the MSR of which it
    tells the bits that are not reserved.
    """

    width: int
    cpuid: Cpuid | None = None
    bits_of: str | None = None
    between: tuple[int, int] | None = None
    needed: bool = False
    qemu: str | None = None
    common: str = "equal"


@dataclass(frozen=True, kw_only=True)
class ExitReason(Entry):
    """A basic exit reason; `qualification` names the layout of the exit qualification, where it has one."""

    number: int
    qualification: str | None = None


@dataclass(frozen=True, kw_only=True)
class InstructionError(Entry):
    """A VM-instruction error number."""

    number: int


@dataclass(frozen=True, kw_only=True)
class ExceptionVector(Entry):
    """An exception that the exception bitmap can select."""

    vector: int
    mnemonic: str | None
    error_code: bool

    @property
    def names(self) -> tuple[str, ...]:
        return super().names + (() if self.mnemonic is None else (self.mnemonic,))


@dataclass(frozen=True, slots=True)
class Region:
    """A run of bits of a bitmap: `first`..`last` (ports, MSRs, vectors) from byte `byte` of `field`'s page."""

    field: str
    first: int
    last: int
    byte: int
    access: str | None = None


@dataclass(frozen=True, slots=True)
class Qualified:
    """An exception whose exit depends also on its error code, through a mask and a match field."""

    exception: str
    operand: str
    mask: str
    match: str
    layout: str


@dataclass(frozen=True, kw_only=True)
class Bitmap(Entry):
    """Something of which a policy intercepts a part: I/O ports, MSRs, exceptions.

    `storage` is `page` (each field of the regions holds the address of a 4-KiB page) or `field` (the bits are the
    field itself). `targets` says what may be named besides numbers: `number`, `msr` or `exception`.
    """

    storage: str
    targets: str
    unit: str
    control: str | None
    regions: tuple[Region, ...]
    qualified: Qualified | None = None

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of the regions, each once, in their order."""
        return tuple(dict.fromkeys(region.field for region in self.regions))

    @property
    def accesses(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(region.access for region in self.regions if region.access is not None))


@dataclass(frozen=True, slots=True)
class Rule:
    """A check of VM entry. `when` (None: always) and `require` are expressions; `outcome` what a violation causes.

    `entry` is the id as the file has it: a rule written once for many things (`gseg-{segment}-s`) is a `Rule` for each
    of them, and they share a code. `other_outcomes` are those that some processors have instead. `each` is (name, area)
    where the rule holds for each element of an area of memory.
    """

    id: str
    code: str
    section: str
    when: str | None
    require: str
    outcome: Mapping[str, int | str]
    why: str
    hint: str | None
    entry: str = ""
    each: tuple[str, str] | None = None
    other_outcomes: tuple[Mapping[str, int | str], ...] = ()


@dataclass(frozen=True, slots=True)
class Cause:
    """Why the `rules` (ids, or as the file has them) are violated, where `when` (None: always) holds."""

    name: str
    rules: tuple[str, ...]
    when: str | None
    text: str


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the expression language: widths of its parameters by name, and the expression that it means."""

    name: str
    parameters: Mapping[str, int]
    width: int
    body: str
    summary: str


@dataclass(frozen=True, slots=True)
class Area:
    """An array in memory: expressions for its physical address and the number of its elements of `size` bytes."""

    name: str
    address: str
    count: str
    size: int
    layout: str
    summary: str


@dataclass(frozen=True, slots=True)
class StateBits:
    """Something of the processor's state when it enters: `processor.NAME`, `width` bits wide."""

    name: str
    width: int
    values: Mapping[str, int]
    summary: str


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage of VM entry: the keys and values of the outcomes that its checks cause, the usual one first."""

    name: str
    section: str
    outcomes: tuple[tuple[str, int | str], ...]
    summary: str


@dataclass(frozen=True, slots=True)
class CodeText:
    """What `vmcsc explain` says of a diagnostic code."""

    code: str
    name: str
    severity: str
    summary: str
    explanation: str
    example: str | None = None
    status: str = "active"
