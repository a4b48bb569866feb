# SPDX-License-Identifier: Apache-2.0
"""Hives of a small server of our own invention, as they stand after an intrusion and, as twins, before it.

Everything in them follows the public descriptions that the readers cite; nothing is taken from another's hive.
"""

from __future__ import annotations

import codecs
import struct

from hive_writing import EXPAND, NONE, QWORD, T0, Node, Writer, tree, write

HOUR = 36_000_000_000
DAY = 24 * HOUR
SET = "ControlSet001"
RUN = "Microsoft\\Windows\\CurrentVersion\\Run"
CACHE = "Microsoft\\Windows NT\\CurrentVersion\\Schedule\\TaskCache"
DEFENDER = "Microsoft\\Windows Defender"


def wide(text: str) -> bytes:
    return text.encode("utf-16-le")


def stamp(filetime: int) -> bytes:
    return struct.pack("<Q", filetime)


def shimcache(*entries: tuple[str, int]) -> bytes:
    """A compatibility cache as Windows 10 and Server 2016 to 2022 write it."""
    out = struct.pack("<I48x", 0x34)
    for path, time in entries:
        body = struct.pack("<H", len(wide(path))) + wide(path) + stamp(time) + struct.pack("<I", 0)
        out += struct.pack("<4sII", b"10ts", 0, len(body)) + body
    return out


def actions(command: str, arguments: str, context: str = "Author") -> bytes:
    """The actions of a task that runs one program, version 3."""

    def text(value: str) -> bytes:
        return struct.pack("<I", len(wide(value))) + wide(value)

    return struct.pack("<H", 3) + text(context) + struct.pack("<H", 0x6666) + b"".join(
        text(part) for part in ("", command, arguments, "")
    ) + struct.pack("<H", 0)  # fmt: skip


def dynamic(registered: int, run: int) -> bytes:
    return struct.pack("<IQQIIQ", 3, registered, run, 0, 0, run)


def userassist(runs: int, time: int) -> bytes:
    return struct.pack("<IIII", 0, runs, 1, 1000) + bytes(44) + stamp(time) + bytes(4)


def account_f(rid: int, flags: int, logon: int = 0, changed: int = 0, logons: int = 0) -> bytes:
    head = struct.pack("<IIQQQQQ", 2, 0, logon, 0, changed, 0, 0)
    return head + struct.pack("<IIHHIHHI", rid, 513, flags, 0, 0, 0, logons, 0) + bytes(8)


def account_v(name: str, full: str = "", comment: str = "", hashed: bool = True) -> bytes:
    """The variable part: a table of places and sizes, then the texts."""
    table = bytearray(0xCC)
    body = b""
    for at, text in ((0x0C, name), (0x18, full), (0x24, comment)):
        struct.pack_into("<II", table, at, len(body), len(wide(text)))
        body += wide(text).ljust(-(-len(wide(text)) // 4) * 4, b"\0")
    for at, size in ((0x9C, 4), (0xA8, 56 if hashed else 24)):
        struct.pack_into("<II", table, at, len(body), size)
        body += bytes(size)
    return bytes(table) + body


def sid_bytes(*parts: int) -> bytes:
    return struct.pack(f"<BB6s{len(parts)}I", 1, len(parts), (5).to_bytes(6, "big"), *parts)


def group_c(name: str, comment: str, *members: bytes) -> bytes:
    head = bytearray(0x34)
    body = wide(name)
    struct.pack_into("<II", head, 0x10, 0, len(body))
    struct.pack_into("<II", head, 0x1C, len(body), len(wide(comment)))
    body += wide(comment)
    body += bytes(-len(body) % 4)
    struct.pack_into("<III", head, 0x28, len(body), sum(map(len, members)), len(members))
    return bytes(head) + body + b"".join(members)


def folder_item(name: str, short: str, day: int = 0x4E93) -> bytes:
    """A shell item of a folder, with its long name in an extension block of version 8."""
    head = struct.pack("<BBIHHH", 0x31, 0, 0, day, 0x5000, 0x10) + short.encode("ascii") + b"\0"
    head += b"\0" * (len(head) % 2)
    long = wide(name) + b"\0\0"
    block = struct.pack("<HHIHHHH", 42 + len(long), 8, 0xBEEF0004, day, 0x5000, day, 0x5000).ljust(42, b"\0") + long
    return struct.pack("<H", 2 + len(head) + len(block)) + head + block


def root_item(guid: str = "e04fd020ea3a6910a2d808002b30309d") -> bytes:
    return struct.pack("<HBB", 20, 0x1F, 0x50) + bytes.fromhex(guid)


def volume_item(letter: str) -> bytes:
    return struct.pack("<HB", 25, 0x2F) + f"{letter}:\\".encode().ljust(22, b"\0")


def system(attacked: bool = True) -> bytes:
    """SYSTEM: identity, network, services, devices, traces of execution, firewall, credentials."""
    keys = {
        "Select": {"Current": 1, "Default": 1, "LastKnownGood": 1},
        "MountedDevices": {"\\DosDevices\\C:": bytes.fromhex("0102030400001000")},
        f"{SET}\\Control\\ComputerName\\ComputerName": {"ComputerName": "SRV-财务01"},
        f"{SET}\\Control\\TimeZoneInformation": {"TimeZoneKeyName": "China Standard Time", "Bias": 0xFFFFFE20, "ActiveTimeBias": 0xFFFFFE20},
        f"{SET}\\Control\\Windows": {"ShutdownTime": stamp(T0 + 3 * DAY)},
        f"{SET}\\Control\\Lsa": {"Security Packages": ["kerberos", "msv1_0"], "LmCompatibilityLevel": 5, "RunAsPPL": 1},
        f"{SET}\\Control\\Session Manager": {"BootExecute": ["autocheck autochk *"]},
        f"{SET}\\Control\\SecurityProviders\\WDigest": {"UseLogonCredential": 0},
        f"{SET}\\Control\\Terminal Server": {"fDenyTSConnections": 1},
        f"{SET}\\Control\\Terminal Server\\WinStations\\RDP-Tcp": {"PortNumber": 3389, "UserAuthentication": 1},
        f"{SET}\\Control\\Session Manager\\AppCompatCache": {
            "AppCompatCache": shimcache(("C:\\Windows\\System32\\svchost.exe", T0), ("C:\\Windows\\System32\\cmd.exe", T0 - DAY))
        },
        f"{SET}\\Services\\Tcpip\\Parameters": {"Hostname": "srv-finance01", "Domain": "corp.example"},
        f"{SET}\\Services\\Tcpip\\Parameters\\Interfaces\\{{11111111-2222-3333-4444-555555555555}}": {
            "IPAddress": ["10.0.0.5"], "SubnetMask": ["255.255.255.0"], "DefaultGateway": ["10.0.0.1"], "EnableDHCP": 0, "NameServer": "10.0.0.2",
        },
        f"{SET}\\Services\\Spooler": {
            "ImagePath": (EXPAND, wide("%SystemRoot%\\System32\\spoolsv.exe\0")), "Start": 2, "Type": 0x110, "ObjectName": "LocalSystem",
            "DisplayName": "Print Spooler",
        },
        f"{SET}\\Services\\Dnscache": {"ImagePath": (EXPAND, wide("%SystemRoot%\\system32\\svchost.exe -k NetworkService -p\0")), "Start": 2, "Type": 0x20},
        f"{SET}\\Services\\Dnscache\\Parameters": {"ServiceDll": (EXPAND, wide("%SystemRoot%\\System32\\dnsrslvr.dll\0"))},
        f"{SET}\\Services\\disk": {"ImagePath": "System32\\drivers\\disk.sys", "Start": 0, "Type": 1},
        f"{SET}\\Services\\LanmanServer\\Shares": {"Finance": ["CSCFlags=0", "MaxUses=4294967295", "Path=D:\\Finance", "Permissions=0", "Type=0"]},
        f"{SET}\\Services\\SharedAccess\\Parameters\\FirewallPolicy\\FirewallRules": {
            "CoreNet-DNS-Out-UDP": "v2.30|Action=Allow|Active=TRUE|Dir=Out|Protocol=17|RPort=53|App=%SystemRoot%\\system32\\svchost.exe|Name=@FirewallAPI.dll,-25405|"
        },
        f"{SET}\\Services\\SharedAccess\\Parameters\\FirewallPolicy\\StandardProfile": {"EnableFirewall": 1},
        f"{SET}\\Services\\EventLog": {"Start": 2},
        f"{SET}\\Services\\bam\\State\\UserSettings\\S-1-5-21-1-2-3-500": {
            "Version": 1, "\\Device\\HarddiskVolume2\\Windows\\System32\\mmc.exe": stamp(T0 + DAY) + bytes(16),
        },
        f"{SET}\\Enum\\USBSTOR\\Disk&Ven_Example&Prod_Stick&Rev_1.00\\0123456789&0": {"FriendlyName": "Example Stick USB Device", "Service": "disk"},
        f"{SET}\\Enum\\USBSTOR\\Disk&Ven_Example&Prod_Stick&Rev_1.00\\0123456789&0\\Properties\\{{83da6326-97a6-4088-9453-a1923f573b29}}\\0066": {
            "": (0xFFFF0010, stamp(T0 + 2 * DAY))
        },
        "ControlSet002\\Services\\Spooler": {"ImagePath": (EXPAND, wide("%SystemRoot%\\System32\\spoolsv.exe\0")), "Start": 2, "Type": 0x110},
    }  # fmt: skip
    if attacked:
        keys[f"{SET}\\Control\\SecurityProviders\\WDigest"]["UseLogonCredential"] = 1
        keys[f"{SET}\\Control\\Terminal Server"]["fDenyTSConnections"] = 0
        keys[f"{SET}\\Control\\Terminal Server\\WinStations\\RDP-Tcp"] |= {"UserAuthentication": 0, "PortNumber": 13389}
        keys[f"{SET}\\Control\\Lsa"] |= {
            "RunAsPPL": 0,
            "Security Packages": ["kerberos", "msv1_0", "mimilib"],
            "DisableRestrictedAdmin": 0,
        }
        keys[f"{SET}\\Services\\WinUpdateSvc"] = {
            "ImagePath": "C:\\Users\\Public\\upd.exe -s", "Start": 2, "Type": 0x10, "ObjectName": "LocalSystem", "DisplayName": "Windows Update Helper",
        }  # fmt: skip
        keys[f"{SET}\\Services\\KzRmtQwa"] = {
            "ImagePath": "%COMSPEC% /b /c start /b /min powershell -nop -w hidden -enc SQBFAFgAKABOAGUAdwAtAE8AYgBqAGUAYwB0ACkA",
            "Start": 3,
            "Type": 0x10,
        }
        keys[f"{SET}\\Services\\SharedAccess\\Parameters\\FirewallPolicy\\StandardProfile"]["EnableFirewall"] = 0
        keys[f"{SET}\\Services\\SharedAccess\\Parameters\\FirewallPolicy\\FirewallRules"]["{AAAA}"] = (
            "v2.30|Action=Allow|Active=TRUE|Dir=In|Protocol=6|LPort=13389|Name=rdp2|"
        )
        keys[f"{SET}\\Control\\Session Manager\\AppCompatCache"]["AppCompatCache"] = shimcache(
            ("C:\\Users\\Public\\upd.exe", T0 + 2 * DAY), ("C:\\Windows\\System32\\svchost.exe", T0)
        )
        keys[f"{SET}\\Services\\bam\\State\\UserSettings\\S-1-5-21-1-2-3-500"] |= {
            "\\Device\\HarddiskVolume2\\Users\\Public\\upd.exe": stamp(T0 + 2 * DAY + HOUR) + bytes(16)
        }
    times = {f"{SET}\\Services\\WinUpdateSvc": T0 + 2 * DAY} if attacked else {}
    return write(tree(keys, times), "SYSTEM")


def software(attacked: bool = True) -> bytes:
    """SOFTWARE: version, profiles, autoruns, tasks, Defender."""
    profiles = "Microsoft\\Windows NT\\CurrentVersion\\ProfileList"
    network = "Microsoft\\Windows NT\\CurrentVersion\\NetworkList\\Profiles\\{0A}"
    local = struct.pack("<8H", 2019, 4, 3, 17, 20, 5, 6, 0)
    keys = {
        "Classes": {},
        "Microsoft\\Windows NT\\CurrentVersion": {
            "ProductName": "Windows Server 2019 Standard", "CurrentBuild": "17763", "InstallDate": 1_555_000_000, "RegisteredOwner": "Windows User",
        },
        f"{profiles}\\S-1-5-21-1-2-3-500": {
            "ProfileImagePath": (EXPAND, wide("C:\\Users\\Administrator\0")), "LocalProfileLoadTimeLow": (T0 + DAY) & 0xFFFFFFFF,
            "LocalProfileLoadTimeHigh": (T0 + DAY) >> 32,
        },
        network: {"ProfileName": "corp.example", "DateCreated": local, "DateLastConnected": local, "Category": 2},
        "Microsoft\\Windows NT\\CurrentVersion\\Winlogon": {"Shell": "explorer.exe", "Userinit": "C:\\Windows\\system32\\userinit.exe,"},
        RUN: {"SecurityHealth": (EXPAND, wide("%windir%\\system32\\SecurityHealthSystray.exe\0"))},
        f"{DEFENDER}\\Exclusions\\Paths": {},
        "Microsoft\\Windows\\CurrentVersion\\Policies\\System": {"EnableLUA": 1},
        "Microsoft\\Windows\\CurrentVersion\\Uninstall\\7-Zip": {"DisplayName": "7-Zip 19.00 (x64)", "DisplayVersion": "19.00", "Publisher": "Igor Pavlov"},
        f"{CACHE}\\Tree\\Microsoft\\Windows\\Defrag\\ScheduledDefrag": {"Id": "{D1}", "Index": 3, "SD": b"\1\0\4\x80"},
        f"{CACHE}\\Tasks\\{{D1}}": {
            "Path": "\\Microsoft\\Windows\\Defrag\\ScheduledDefrag", "Actions": actions("%windir%\\system32\\defrag.exe", "-c -h -o"),
            "DynamicInfo": dynamic(T0, T0 + DAY),
        },
    }  # fmt: skip
    if attacked:
        keys[RUN]["Updater"] = "powershell.exe -NoP -W Hidden -Enc SQBFAFgAKABOAGUAdwAtAE8AYgBqAGUAYwB0ACkA"
        keys["Microsoft\\Windows NT\\CurrentVersion\\Winlogon"]["Shell"] = "explorer.exe, C:\\ProgramData\\svc.exe"
        keys["Microsoft\\Windows NT\\CurrentVersion\\Image File Execution Options\\sethc.exe"] = {
            "Debugger": "C:\\Windows\\System32\\cmd.exe"
        }
        keys[f"{DEFENDER}\\Exclusions\\Paths"] = {"C:\\Users\\Public": 0}
        keys[f"Policies\\{DEFENDER}"] = {"DisableAntiSpyware": 1}
        keys["Microsoft\\Windows\\CurrentVersion\\Policies\\System"] |= {
            "LocalAccountTokenFilterPolicy": 1,
            "EnableLUA": 0,
        }
        keys[f"{CACHE}\\Tree\\Updater"] = {"Id": "{E2}", "Index": 3}
        keys[f"{CACHE}\\Tasks\\{{E2}}"] = {
            "Path": "\\Updater", "Author": "SRV\\Administrator", "Actions": actions("C:\\Users\\Public\\upd.exe", "-s", "SYSTEM"),
            "DynamicInfo": dynamic(T0 + 2 * DAY, T0 + 2 * DAY + HOUR),
        }  # fmt: skip
    return write(tree(keys), "emRoot\\System32\\Config\\SOFTWARE")


def sam(attacked: bool = True) -> bytes:
    """SAM: accounts and the group of administrators."""
    users = "SAM\\Domains\\Account\\Users"
    accounts = {
        500: ("Administrator", account_f(500, 0x210, T0 + DAY, T0 - DAY, 12)),
        501: ("Guest", account_f(501, 0x215)),
    }
    members = [sid_bytes(21, 1, 2, 3, 500)]
    if attacked:
        accounts[1002] = ("support$", account_f(500, 0x210, T0 + 2 * DAY, T0 + 2 * DAY, 3))
        members.append(sid_bytes(21, 1, 2, 3, 1002))
    keys: dict[str, dict[str, object]] = {}
    for rid, (name, fixed) in accounts.items():
        keys[f"{users}\\{rid:08X}"] = {
            "F": fixed,
            "V": account_v(name, comment="内置账户" if rid == 500 else "", hashed=rid != 501),
        }
        keys[f"{users}\\Names\\{name}"] = {"": (rid, b"")}
    fixed = bytearray(0xF0)
    struct.pack_into("<qq", fixed, 0x18, -42 * DAY, 0)
    struct.pack_into("<IHHH", fixed, 0x4C, 1, 8, 24, 5)
    keys["SAM\\Domains\\Account"] = {"F": bytes(fixed)}
    keys["SAM\\Domains\\Builtin\\Aliases\\00000220"] = {"C": group_c("Administrators", "管理员", *members)}
    return write(
        tree(keys, {f"{users}\\000003EA": T0 + 2 * DAY} if attacked else {}), "\\SystemRoot\\System32\\Config\\SAM"
    )


def security() -> bytes:
    """SECURITY: audit policy, rights, secrets, a cached logon."""
    policy = struct.pack("<B11x", 1) + struct.pack("<8H", 0, 3, 1, 0, 2, 0, 0, 0)
    rights = struct.pack("<II", 2, 0) + struct.pack("<QI", 20, 0) + struct.pack("<QI", 29, 0)
    cached = struct.pack("<8HIII4x", 10, 8, 10, 0, 0, 0, 0, 0, 1105, 513, 1) + stamp(T0 + DAY) + bytes(80)
    keys = {
        "Policy\\PolAdtEv": {"": (NONE, policy)}, "RXACT": {}, "Cache": {"NL$1": cached, "NL$2": bytes(168), "NL$Control": bytes(8)},
        "Policy\\Accounts\\S-1-5-32-544\\Privilgs": {"": (NONE, rights)},
        "Policy\\Accounts\\S-1-5-32-544\\ActSysAc": {"": (NONE, struct.pack("<I", 0x403))},
        "Policy\\Secrets\\_SC_BackupSvc\\CupdTime": {"": (NONE, stamp(T0 - DAY))}, "Policy\\Secrets\\DPAPI_SYSTEM": {},
    }  # fmt: skip
    return write(tree(keys), "emRoot\\System32\\Config\\SECURITY")


def ntuser(attacked: bool = True) -> bytes:
    """NTUSER.DAT of an administrator."""
    explorer = "Software\\Microsoft\\Windows\\CurrentVersion\\Explorer"
    guid = f"{explorer}\\UserAssist\\{{CEBFF5CD-ACE2-4F4F-9178-9926F41749EA}}\\Count"
    name = codecs.encode("C:\\Windows\\System32\\mmc.exe", "rot13")
    keys = {
        "Control Panel\\Desktop": {"ScreenSaveActive": "1"},
        "Environment": {"TEMP": (EXPAND, wide("%USERPROFILE%\\AppData\\Local\\Temp\0"))},
        f"Software\\{RUN}": {"OneDrive": '"C:\\Program Files\\Microsoft OneDrive\\OneDrive.exe" /background'},
        guid: {name: userassist(5, T0 + DAY), "HRZR_PGYFRFFVBA": bytes(1612)},
        f"{explorer}\\RunMRU": {"a": "services.msc\\1", "MRUList": "a"},
        f"{explorer}\\TypedPaths": {"url1": "D:\\Finance"},
        f"{explorer}\\RecentDocs": {
            "0": wide("报表.xlsx\0") + b"\x14\0\x1f\0",
            "MRUListEx": struct.pack("<iI", 0, 0xFFFFFFFF),
        },
    }
    pidl = root_item() + volume_item("D") + folder_item("Finance", "Finance") + b"\0\0"
    keys[f"{explorer}\\ComDlg32\\OpenSavePidlMRU\\*"] = {"0": pidl, "MRUListEx": struct.pack("<iI", 0, 0xFFFFFFFF)}
    keys[f"{explorer}\\ComDlg32\\LastVisitedPidlMRU"] = {
        "0": wide("EXCEL.EXE\0") + pidl,
        "MRUListEx": struct.pack("<iI", 0, 0xFFFFFFFF),
    }
    if attacked:
        keys[f"Software\\{RUN}"]["upd"] = "C:\\Users\\Public\\upd.exe"
        keys[f"{explorer}\\RunMRU"] |= {"b": "cmd /c vssadmin delete shadows /all /quiet\\1", "MRUList": "ba"}
        keys["Software\\Microsoft\\Terminal Server Client\\Servers\\10.0.0.9"] = {"UsernameHint": "CORP\\admin"}
        keys["Software\\Microsoft\\Terminal Server Client\\Default"] = {"MRU0": "10.0.0.9"}
        keys["Software\\SimonTatham\\PuTTY\\SshHostKeys"] = {"ssh-ed25519@22:203.0.113.9": "0x1,0x2"}
        keys["Network\\z"] = {"RemotePath": "\\\\10.0.0.9\\c$", "UserName": "CORP\\admin"}
    return write(tree(keys), "\\??\\C:\\Users\\Administrator\\ntuser.dat")


def usrclass(attacked: bool = True) -> bytes:
    """UsrClass.dat of the same account."""
    shell = "Local Settings\\Software\\Microsoft\\Windows\\Shell\\MuiCache"
    keys = {
        shell: {"LangID": b"\4\x08", "C:\\Windows\\System32\\mmc.exe.FriendlyAppName": "Microsoft Management Console"}
    }
    bags = "Local Settings\\Software\\Microsoft\\Windows\\Shell\\BagMRU"
    order = struct.pack("<iI", 0, 0xFFFFFFFF)
    keys[bags] = {"0": root_item() + b"\0\0", "MRUListEx": order}
    keys[f"{bags}\\0"] = {"0": volume_item("D") + b"\0\0", "MRUListEx": order}
    keys[f"{bags}\\0\\0"] = {"0": folder_item("财务 2019", "CAIWU~1") + b"\0\0", "MRUListEx": order}
    if attacked:
        keys[shell]["C:\\Users\\Public\\upd.exe.FriendlyAppName"] = "upd"
        keys["CLSID\\{B5F8350B-0548-48B1-A6EE-88BD00B4A5E7}\\InprocServer32"] = {
            "": "C:\\Users\\Public\\x.dll",
            "ThreadingModel": "Both",
        }
    return write(tree(keys), "Microsoft\\Windows\\UsrClass.dat")


def amcache(attacked: bool = True) -> bytes:
    """Amcache.hve in its present form."""
    base = "Root\\InventoryApplicationFile"
    keys = {
        f"{base}\\7zfm.exe|1": {
            "LowerCaseLongPath": "c:\\program files\\7-zip\\7zfm.exe", "FileId": "0000" + "a1" * 20, "Name": "7zFM.exe", "Publisher": "igor pavlov",
            "Size": (QWORD, struct.pack("<Q", 867_840)), "LinkDate": "02/21/2019 16:00:00",
        },
        "Root\\InventoryDriverBinary\\c:/windows/system32/drivers/disk.sys": {"DriverName": "disk.sys", "DriverId": "0000" + "b2" * 20, "DriverSigned": 1},
    }  # fmt: skip
    if attacked:
        keys[f"{base}\\upd.exe|2"] = {
            "LowerCaseLongPath": "c:\\users\\public\\upd.exe",
            "FileId": "0000" + "c3" * 20,
            "Name": "upd.exe",
            "Size": "0x1000",
        }
    return write(tree(keys), "\\AppCompat\\Programs\\Amcache.hve")


def with_remains() -> bytes:
    """A hive with a deleted key and its value, in freed cells, and a value behind a shrunk list."""
    writer = Writer()
    root = writer.key("ROOT", tree({"Software\\Kept": {"a": "b"}}), 0xFFFF_FFFF, 0x0C)
    gone = Node({"Command": "C:\\Users\\Public\\gone.exe", "Flag": 7}, {}, T0 + DAY)
    start = writer.at
    writer.key("Removed", gone, root)
    at = start
    while at < writer.at:  # every cell of it is freed
        size = struct.unpack_from("<i", writer.bins, at)[0]
        struct.pack_into("<i", writer.bins, at, abs(size))
        at += abs(size)
    return writer.hive(root, "\\??\\C:\\Users\\A\\ntuser.dat")


ALL = {
    "SYSTEM": system, "SOFTWARE": software, "SAM": sam, "SECURITY": lambda attacked=True: security(), "NTUSER.DAT": ntuser,
    "UsrClass.dat": usrclass, "Amcache.hve": amcache,
}  # fmt: skip
PATHS = {
    "SYSTEM": "/Windows/System32/config/SYSTEM", "SOFTWARE": "/Windows/System32/config/SOFTWARE", "SAM": "/Windows/System32/config/SAM",
    "SECURITY": "/Windows/System32/config/SECURITY", "NTUSER.DAT": "/Users/Administrator/NTUSER.DAT",
    "UsrClass.dat": "/Users/Administrator/AppData/Local/Microsoft/Windows/UsrClass.dat", "Amcache.hve": "/Windows/AppCompat/Programs/Amcache.hve",
}  # fmt: skip
