"""What the examples are compiled against where the real thing is not at hand: the crate `cc`, and headers of MdePkg."""

from __future__ import annotations

CC = {
    "Cargo.toml": '[package]\nname = "cc"\nversion = "1.0.0"\nedition = "2021"\n',
    "src/lib.rs": """\
use std::{env, process::Command};

#[derive(Default)]
pub struct Build {
    file: String,
}

impl Build {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn file(&mut self, file: &str) -> &mut Self {
        self.file = file.to_owned();
        self
    }

    pub fn compile(&self, name: &str) {
        let folder = env::var("OUT_DIR").unwrap();
        let (object, library) = (format!("{folder}/{name}.o"), format!("{folder}/lib{name}.a"));
        let flags = ["-O2", "-fPIC", "-Wall", "-Wextra", "-Werror", "-c"];
        assert!(Command::new("gcc").args(flags).args([&self.file, "-o", &object]).status().unwrap().success());
        assert!(Command::new("ar").args(["crs", &library, &object]).status().unwrap().success());
        println!("cargo:rustc-link-search=native={folder}");
        println!("cargo:rustc-link-lib=static={name}");
    }
}
""",
}

EDK2 = {
    "Uefi.h": """\
#define STATIC static
#define VOID void
#define CONST const
#define EFIAPI __attribute__((ms_abi))
#define NULL ((VOID *)0)
#define MAX_UINT64 0xFFFFFFFFFFFFFFFFULL
typedef unsigned char UINT8;
typedef unsigned short UINT16;
typedef unsigned int UINT32;
typedef unsigned long long UINT64;
typedef UINT64 UINTN;
typedef UINTN EFI_STATUS;
typedef VOID *EFI_HANDLE;
typedef struct { UINT32 Data1; UINT16 Data2, Data3; UINT8 Data4[8]; } EFI_GUID;
typedef enum { EFI_NATIVE_INTERFACE } EFI_INTERFACE_TYPE;
typedef struct {
  EFI_STATUS (EFIAPI *InstallProtocolInterface)(EFI_HANDLE *, EFI_GUID *, EFI_INTERFACE_TYPE, VOID *);
} EFI_BOOT_SERVICES;
typedef struct { EFI_BOOT_SERVICES *BootServices; } EFI_SYSTEM_TABLE;
#define EFI_SUCCESS 0
#define EFI_INVALID_PARAMETER 0x8000000000000002ULL
EFI_STATUS EFIAPI CheckEntryStart (EFI_HANDLE, EFI_SYSTEM_TABLE *);
""",
    "Library/BaseLib.h": """\
UINT64 EFIAPI AsmReadMsr64 (UINT32);
UINT32 EFIAPI AsmCpuid (UINT32, UINT32 *, UINT32 *, UINT32 *, UINT32 *);
""",
    "Library/DebugLib.h": """\
#define DEBUG_ERROR 0x80000000
#define DEBUG(Expression) DebugPrint Expression
VOID EFIAPI DebugPrint (UINTN, CONST char *, ...);
""",
    "Library/UefiBootServicesTableLib.h": "extern EFI_BOOT_SERVICES *gBS;\n",
}
