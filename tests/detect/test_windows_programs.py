# SPDX-License-Identifier: Apache-2.0
"""Programs that are not what they say, rights and access lists that give the system away; ordinary hosts stay quiet."""

from __future__ import annotations

from typing import Any

from memory_events import MemoryEvents

from headwater.detect.detectors import windows_programs, windows_rights
from headwater.detect.program_view import place_of
from headwater.model.kinds import EventKind as K
from headwater.model.kinds import Severity
from headwater.model.nouns import Finding
from headwater.model.ports import Settings

LISTED, UNKNOWN = "aa" * 32, "bb" * 32


def program(path: str, **said: Any) -> tuple[K, None, dict[str, Any]]:
    named = {"signature": "none", "authenticode_sha256": UNKNOWN, "authenticode_sha1": "cc" * 20, **said}
    return K.STATE_PROGRAM, None, {"file_path": path, "machine": "x64", **named}


def signed(path: str) -> tuple[K, None, dict[str, Any]]:
    return program(path, signature="embedded", signer="CN=Example", signature_holds=True, digest_holds=True)


def host(*programs: Any, catalogs: bool = True, holds: bool = True) -> MemoryEvents:
    events = MemoryEvents()
    events.say("windows.pe", "p1!/x.exe", *programs)
    said = {"command_line": r"C:\Windows\System32\svchost.exe -k netsvcs", "unit": "Ordinary"}
    events.say("windows.service", "p1!/SYSTEM", (K.STATE_SERVICE, None, said))
    if catalogs:
        events.say(
            "windows.catalog",
            "p1!/a.cat",
            (K.STATE_CATALOG, None, {"members": f"{LISTED} 00", "signature_holds": holds}),
        )
    return events


def told(events: MemoryEvents) -> dict[Any, Finding]:
    return {f.facts["sort"]: f for f in windows_programs.detect(events, Settings())}


def test_ordinary_programs_say_nothing() -> None:
    events = host(
        program("/Windows/System32/svchost.exe", authenticode_sha256=LISTED),
        signed("/Windows/System32/notepad.exe"),
        signed("/Program Files/Example/agent.exe"),
        program("/Program Files/Example/plugin.dll"),
        program("/Windows.old/Windows/System32/plugin.dll"),
        signed("/Users/li/AppData/Local/Temp/setup.exe"),
        signed("/Windows/explorer.exe"),
        program("/inetpub2/report.2026.exe", signature="embedded", digest_holds=True),
    )
    assert told(events) == {}


def test_a_system_name_elsewhere_and_a_false_document_are_told() -> None:
    found = told(host(program("/Users/Public/svchost.exe"), program("/Users/li/Desktop/发票.pdf .exe")))
    assert set(found) == {"system-name", "double-extension"}
    assert all(f.severity is Severity.HIGH and f.spans for f in found.values())


def test_an_altered_program_is_told_before_its_place() -> None:
    altered = program(
        "/Windows/Temp/a.exe", signature="embedded", signer="CN=Example", signature_holds=True, digest_holds=False
    )
    assert set(told(host(altered))) == {"altered"}


def test_a_makers_name_that_nobody_vouches_for_is_told_and_the_maker_itself_is_not() -> None:
    by = {"signature": "embedded", "signature_holds": True, "digest_holds": True}
    microsoft = "CN=Microsoft Windows,O=Microsoft Corporation,C=US"
    own = program("/Users/li/a.exe", signer=microsoft, chain_state="self-signed", **by)
    broken = program(
        "/Users/li/b.exe", signer=microsoft, chain_state="broken: not signed by the issuer that it names", **by
    )
    (found,) = told(host(own, broken)).values()
    assert (found.facts["sort"], found.facts["programs"], found.severity) == ("borrowed-name", 2, Severity.HIGH)
    assert "并非由其所称的颁发者签发" in found.text.zh
    genuine = "holds as far as it is carried, the last issuer is not in the file"
    ordinary = (
        program("/Program Files/x.exe", signer=microsoft, chain_state=genuine, **by),
        program("/Program Files/y.exe", signer=microsoft, **by),  # a chain that could not be tried
        program(
            "/Program Files/z.exe", signer="CN=Contoso IT,O=Contoso", chain_state="self-signed", **by
        ),  # a site's own
    )
    assert told(host(*ordinary)) == {}


def test_what_starts_by_itself_without_signature_cites_what_starts_it() -> None:
    events = host(program("/Program Files/Odd/upd.exe"))
    said = {"command_line": r'"C:\Program Files\Odd\upd.exe" -s', "unit": "upd"}
    events.say("windows.service", "p1!/SYSTEM", (K.STATE_SERVICE, None, said))
    found = told(events)["unsigned-start"]
    assert found.severity is Severity.MEDIUM
    assert "in no catalog of this image" in found.text.en
    assert len(found.spans) == 2


def test_without_catalogs_nothing_is_called_unsigned() -> None:
    for events in (host(program("/Windows/Temp/a.exe"), catalogs=False), host(program("/Windows/Temp/a.exe"))):
        events.gap("p1!/b.cat", "windows.catalog", 0, 10, "not-this-format")
        found = told(events)["unsigned-data"]
        assert found.severity is Severity.LOW
        assert "in no catalog" not in found.text.en
        assert "only known" in found.text.en


def test_a_catalog_whose_signature_does_not_hold_vouches_for_nothing() -> None:
    inside = program("/Windows/System32/x.dll", authenticode_sha256=LISTED)
    assert set(told(host(inside, holds=False))) == {"unsigned-system"}
    assert told(host(inside)) == {}


def test_programs_of_a_linux_host_are_not_judged() -> None:
    events = MemoryEvents()
    events.say("windows.pe", "/usr/share/x.exe", program("/usr/share/svchost.exe"))
    assert told(events) == {}


def test_places_as_start_up_items_write_them() -> None:
    assert place_of(r"C:\Windows\System32\a.exe") == "/windows/system32/a.exe"
    assert place_of(r"\SystemRoot\System32\drivers\a.sys") == "/windows/system32/drivers/a.sys"
    assert place_of(r"%SystemRoot%\system32\a.dll") == "/windows/system32/a.dll"
    assert place_of(r"system32\drivers\a.sys") == "/windows/system32/drivers/a.sys"
    assert place_of("a.dll") == "/windows/system32/a.dll"
    assert place_of("") == ""


def rights(*held: tuple[str, str]) -> list[Finding]:
    events = MemoryEvents()
    said = [(K.STATE_RIGHT, None, {"sid": sid, "data": data, "key": "HKLM"}) for sid, data in held]
    events.say("windows.right", "p1!/SECURITY", *said)
    return list(windows_rights.detect(events, Settings()))


def test_rights_as_windows_grants_them_say_nothing() -> None:
    usual = "SeDebugPrivilege SeBackupPrivilege SeLoadDriverPrivilege SeImpersonatePrivilege"
    assert rights(
        ("S-1-5-32-544", usual), ("S-1-5-32-551", "SeBackupPrivilege"), ("S-1-1-0", "SeChangeNotifyPrivilege"), ("S-1-5-20", usual),
        ("S-1-5-80-3880718306-3832830129", "SeImpersonatePrivilege"), ("S-1-5-21-1-2-3-1000", "SeServiceLogonRight"),
    ) == []  # fmt: skip


def test_a_right_that_opens_the_system_is_told() -> None:
    everyone, user, remote = rights(
        ("S-1-1-0", "SeDebugPrivilege SeChangeNotifyPrivilege"),
        ("S-1-5-21-1-2-3-1001", "SeTcbPrivilege"),
        ("S-1-5-32-545", "SeRemoteInteractiveLogonRight"),
    )
    assert [f.severity for f in (everyone, user, remote)] == [Severity.HIGH, Severity.MEDIUM, Severity.LOW]
    assert "SeDebugPrivilege" in everyone.text.en


def test_access_lists_that_let_anyone_write() -> None:
    assert windows_rights.open_to("D:NO_ACCESS_CONTROL") == ("S-1-1-0",)
    assert windows_rights.open_to("D:(A;;0x1f01ff;;;S-1-1-0)(A;;0x1200a9;;;S-1-5-32-545)") == ("S-1-1-0",)
    assert windows_rights.open_to("D:(A;OICIIO;0x1f01ff;;;S-1-1-0)") == ()
    assert windows_rights.open_to("D:PAI(A;;0x1f01ff;;;S-1-5-18)(A;ID;0x1200a9;;;S-1-5-11)") == ()


def writable(dacl: str, allocated: bool = True) -> list[Finding]:
    events = MemoryEvents()
    path = "/Program Files/App/svc.exe"
    events.say("windows.sds", "p1!/$Secure:$SDS", (K.STATE_SECURITY, None, {"security_id": 300, "dacl": dacl}))
    made = {"file_path": path, "security_id": 300, "allocated": allocated}
    events.say("windows.mft", "p1!/$MFT", (K.FILE_CREATED, "2026-03-02 03:00:00", made))
    said = {"command_line": r'"C:\Program Files\App\svc.exe" run', "unit": "app"}
    events.say("windows.service", "p1!/Windows/System32/config/SYSTEM", (K.STATE_SERVICE, None, said))
    return list(windows_rights.detect(events, Settings()))


def test_a_service_program_that_everyone_may_overwrite() -> None:
    (found,) = writable("D:(A;;0x1301bf;;;S-1-5-32-545)")
    assert found.severity is Severity.HIGH
    assert "svc.exe" in found.text.zh
    assert len(found.spans) == 3
    assert writable("D:(A;;0x1200a9;;;S-1-5-32-545)") == []
    assert writable("D:(A;;0x1301bf;;;S-1-5-32-545)", allocated=False) == []
