# SPDX-License-Identifier: Apache-2.0
"""Which Windows event log channels, and which event numbers there, a Sigma log source means.

Sysmon's event numbers: https://learn.microsoft.com/sysinternals/downloads/sysmon#events; the taxonomy of Sigma's log
sources: https://github.com/SigmaHQ/sigma-specification/blob/main/specification/sigma-appendix-taxonomy.md
"""

from __future__ import annotations

from collections.abc import Mapping

SYSMON = "Microsoft-Windows-Sysmon/Operational"
_M = "Microsoft-Windows-"
_POWERSHELL = (f"{_M}PowerShell/Operational", "PowerShellCore/Operational")

CHANNELS: Mapping[str, tuple[str, ...]] = {
    "application": ("Application",),
    "security": ("Security",),
    "system": ("System",),
    "sysmon": (SYSMON,),
    "powershell": _POWERSHELL,
    "powershell-classic": ("Windows PowerShell",),
    "application-experience": (
        f"{_M}Application-Experience/Program-Telemetry",
        f"{_M}Application-Experience/Program-Compatibility-Assistant",
        f"{_M}Application-Experience/Program-Inventory",
    ),
    "applocker": tuple(
        f"{_M}AppLocker/{part}"
        for part in ("MSI and Script", "EXE and DLL", "Packaged app-Deployment", "Packaged app-Execution")
    ),
    "appmodel-runtime": (f"{_M}AppModel-Runtime/Admin",),
    "appxdeployment-server": (f"{_M}AppXDeploymentServer/Operational",),
    "appxpackaging-om": (f"{_M}AppxPackaging/Operational",),
    "bitlocker": (f"{_M}BitLocker/BitLocker Management",),
    "bits-client": (f"{_M}Bits-Client/Operational",),
    "capi2": (f"{_M}CAPI2/Operational",),
    "certificateservicesclient-lifecycle-system": (f"{_M}CertificateServicesClient-Lifecycle-System/Operational",),
    "codeintegrity-operational": (f"{_M}CodeIntegrity/Operational",),
    "dhcp": (f"{_M}DHCP-Server/Operational",),
    "diagnosis-scripted": (f"{_M}Diagnosis-Scripted/Operational",),
    "dns-client": (f"{_M}DNS Client Events/Operational", f"{_M}DNS-Client/Operational"),
    "dns-server": ("DNS Server",),
    "dns-server-analytic": (f"{_M}DNS-Server/Analytical",),
    "dns-server-audit": (f"{_M}DNS-Server/Audit",),
    "driver-framework": (f"{_M}DriverFrameworks-UserMode/Operational",),
    "firewall-as": (f"{_M}Windows Firewall With Advanced Security/Firewall",),
    "hyper-v-worker": (f"{_M}Hyper-V-Worker-Admin", f"{_M}Hyper-V-Worker"),
    "iis-configuration": ("Microsoft-IIS-Configuration/Operational",),
    "kernel-event-tracing": (f"{_M}Kernel-EventTracing/Admin", f"{_M}Kernel-EventTracing"),
    "kernel-shimengine": (f"{_M}Kernel-ShimEngine/Operational", f"{_M}Kernel-ShimEngine/Diagnostic"),
    "ldap": (f"{_M}LDAP-Client/Debug",),
    "ldap_debug": (f"{_M}LDAP-Client/Debug",),
    "lsa-server": (f"{_M}LSA/Operational",),
    "microsoft-servicebus-client": ("Microsoft-ServiceBus-Client/Admin", "Microsoft-ServiceBus-Client"),
    "msexchange-management": ("MSExchange Management",),
    "ntfs": (f"{_M}Ntfs/Operational",),
    "ntlm": (f"{_M}NTLM/Operational",),
    "openssh": ("OpenSSH/Operational",),
    "printservice-admin": (f"{_M}PrintService/Admin",),
    "printservice-operational": (f"{_M}PrintService/Operational",),
    "security-mitigations": (
        f"{_M}Security-Mitigations/KernelMode",
        f"{_M}Security-Mitigations/UserMode",
        f"{_M}Security-Mitigations/Kernel Mode",
        f"{_M}Security-Mitigations/User Mode",
    ),
    "sense": (f"{_M}SENSE/Operational",),
    "servicebus-client": ("Microsoft-ServiceBus-Client/Admin",),
    "shell-core": (f"{_M}Shell-Core/Operational",),
    "smbclient-connectivity": (f"{_M}SmbClient/Connectivity",),
    "smbclient-security": (f"{_M}SmbClient/Security",),
    "smbserver-connectivity": (f"{_M}SMBServer/Connectivity",),
    "taskscheduler": (f"{_M}TaskScheduler/Operational",),
    "terminalservices-localsessionmanager": (f"{_M}TerminalServices-LocalSessionManager/Operational",),
    "vhdmp": (f"{_M}VHDMP/Operational",),
    "windefend": (f"{_M}Windows Defender/Operational",),
    "wmi": (f"{_M}WMI-Activity/Operational",),
}

_Where = tuple[tuple[str, tuple[int, ...]], ...]


def _sysmon(*numbers: int) -> _Where:
    return ((SYSMON, numbers),)


CATEGORIES: Mapping[str, _Where] = {
    "process_creation": (*_sysmon(1), ("Security", (4688,))),
    "file_change": _sysmon(2),
    "network_connection": _sysmon(3),
    "sysmon_status": _sysmon(4, 16),
    "process_termination": _sysmon(5),
    "driver_load": _sysmon(6),
    "image_load": _sysmon(7),
    "create_remote_thread": _sysmon(8),
    "raw_access_thread": _sysmon(9),
    "process_access": _sysmon(10),
    "file_event": _sysmon(11),
    "registry_add": _sysmon(12),
    "registry_delete": _sysmon(12),
    "registry_set": _sysmon(13),
    "registry_rename": _sysmon(14),
    "registry_event": _sysmon(12, 13, 14),
    "create_stream_hash": _sysmon(15),
    "pipe_created": _sysmon(17, 18),
    "wmi_event": _sysmon(19, 20, 21),
    "dns_query": _sysmon(22),
    "file_delete": _sysmon(23, 26),
    "clipboard_capture": _sysmon(24),
    "process_tampering": _sysmon(25),
    "file_delete_detected": _sysmon(26),
    "file_block_executable": _sysmon(27),
    "file_block_shredding": _sysmon(28),
    "file_executable_detected": _sysmon(29),
    "sysmon_error": _sysmon(255),
    "ps_module": tuple((channel, (4103,)) for channel in _POWERSHELL),
    "ps_script": tuple((channel, (4104,)) for channel in _POWERSHELL),
    "ps_classic_start": (("Windows PowerShell", (400,)),),
    "ps_classic_provider_start": (("Windows PowerShell", (600,)),),
    "ps_classic_script": (("Windows PowerShell", (800,)),),
}
