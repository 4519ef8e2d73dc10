/** The checks of VM entry on the current VMCS, as a protocol: a hypervisor calls Check right before VMLAUNCH or VMRESUME.

  SPDX-License-Identifier: Apache-2.0
**/
#include <Uefi.h>
#include <Library/BaseLib.h>
#include <Library/DebugLib.h>
#include <Library/UefiBootServicesTableLib.h>

typedef UINT8  uint8_t;
typedef UINT16 uint16_t;
typedef UINT32 uint32_t;
typedef UINT64 uint64_t;

#include "vmcsc_checker.h"

typedef struct {
  /// EFI_SUCCESS where nothing is violated; what is goes to DEBUG.
  EFI_STATUS (EFIAPI *Check)(VOID);
} CHECK_ENTRY_PROTOCOL;

STATIC EFI_GUID mCheckEntryGuid = { 0x6c3d1f0e, 0x52a7, 0x4c0b, { 0x9c, 0x5e, 0x7a, 0x5b, 0x1d, 0x2f, 0x8e, 0x41 } };

STATIC struct vmcsc_cpu      mCpu, mCpuKnown;
STATIC struct vmcsc_answers  mAnswers;
STATIC struct vmcsc_state    mState;
STATIC struct vmcsc_results  mResults;

STATIC int ReadCapability (void *Context, uint32_t Index, uint64_t *Value)
{
  (VOID)Context;
  *Value = AsmReadMsr64 (Index);
  return 1;
}

STATIC int ReadField (void *Context, uint32_t Encoding, uint64_t *Value)
{
  UINT8  Failed;

  (VOID)Context;
  __asm__ __volatile__ ("vmread %2, %1; setbe %0" : "=qm"(Failed), "+r"(*Value) : "r"((UINT64)Encoding) : "cc");
  return !Failed;
}

STATIC void Violated (void *Context, const struct vmcsc_violation *Violation)
{
  (VOID)Context;
  DEBUG ((DEBUG_ERROR, "VM entry violates %a (%a)\n", Violation->name, Violation->section));
}

STATIC EFI_STATUS EFIAPI Check (VOID)
{
  UINT32                Widths;
  struct vmcsc_verdict  Verdict;

  AsmCpuid (0x80000008, &Widths, NULL, NULL, NULL);
  vmcsc_fill_cpu (&mCpu, &mCpuKnown, ReadCapability, NULL);
  mCpu.maxphyaddr           = Widths & 0xff;
  mCpu.linear_address_width = (Widths >> 8) & 0xff;
  mCpuKnown.maxphyaddr      = mCpuKnown.linear_address_width = MAX_UINT64;
  vmcsc_ask (&mCpu, &mCpuKnown, &mAnswers);
  vmcsc_fill_fields (&mState, ReadField, NULL);
  mState.violated = Violated;
  Verdict         = vmcsc_check_state (&mState, &mAnswers, &mResults);
  return Verdict.enters == VMCSC_FAILS ? EFI_INVALID_PARAMETER : EFI_SUCCESS;
}

STATIC CHECK_ENTRY_PROTOCOL mCheckEntry = { Check };

EFI_STATUS EFIAPI CheckEntryStart (EFI_HANDLE ImageHandle, EFI_SYSTEM_TABLE *SystemTable)
{
  EFI_HANDLE  Handle = NULL;

  (VOID)ImageHandle;
  (VOID)SystemTable;
  return gBS->InstallProtocolInterface (&Handle, &mCheckEntryGuid, EFI_NATIVE_INTERFACE, &mCheckEntry);
}
