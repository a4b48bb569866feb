# SPDX-License-Identifier: Apache-2.0
"""What sshd, its file transfer and Dropbear say; see :mod:`headwater.examine.message_rules`.

Sources: OpenSSH's auth.c, auth2.c, auth2-pubkeyfile.c, packet.c, sshd.c, session.c and sftp-server.c (4.3 to 9.8, whose
sessions log as ``sshd-session`` and ``sshd-auth``); Dropbear's svr-auth.c, svr-authpasswd.c and svr-authpubkey.c.
"""

from __future__ import annotations

from headwater.examine.message_rule import MessageRule, phrase
from headwater.model.kinds import EventKind as K
from headwater.model.kinds import Outcome

_OK, _NO = Outcome.SUCCESS, Outcome.FAILURE
_SSHD = ("sshd", "sshd-session", "sshd-auth")
# A peer: an address, or a name that begins with a letter; never the number of a port or "[preauth]".
_FROM = r"(?P<src_ip>[^\s.:\[]*[.:]\S*?|[A-Za-z]\S*?)(?: port (?P<port>[0-9]+))?"
_PREAUTH = r"(?: \[preauth\])?"
# The key, or the certificate with the id that its authority gave it, or the Kerberos principal (format_method_key).
_CERTIFICATE = (
    r"(?: ID (?P<key_id>.*) \(serial (?P<key_serial>[0-9]+)\) CA (?P<ca_key_type>\S+) (?P<ca_fingerprint>[^\s,]+))?"
)
_KEY = (
    rf"(?:: (?:(?P<key_type>[A-Za-z0-9-]+)(?: (?P<key_fingerprint>[^\s,:]*:[^\s,]+))?{_CERTIFICATE}"
    r"(?:,? (?P<reason>client user .*))?|(?P<principal>\S.*)))?"
)
_KEY_PREAUTH = r"(?:: (?P<key_type>[A-Za-z0-9-]+) (?P<key_fingerprint>[^\s,:]*:[^\s,]+)[^\[]*?)?(?: \[preauth\])?"
_WHO = r"(?:(?:authenticating |(?P<invalid_user>invalid |illegal ))user (?P<user>.*) )?"
_END = " from {src_ip} port {port#}"
_PRE = " [preauth]"
SSH_PHRASES = (
    phrase(_SSHD, "Failed none for invalid user {user*}" + _END + " ssh2", K.AUTH_PROBE, _NO, method="none", invalid_user=True),
    phrase(_SSHD, "Failed none for {user*}" + _END + " ssh2", K.AUTH_PROBE, _NO, method="none", invalid_user=False),
    phrase(_SSHD, "Failed {method} for invalid user {user*}" + _END + " ssh2", K.AUTH_FAILURE, _NO, invalid_user=True, protocol="ssh2"),
    phrase(_SSHD, "Failed {method} for illegal user {user*}" + _END + " ssh2", K.AUTH_FAILURE, _NO, invalid_user=True, protocol="ssh2"),
    phrase(_SSHD, "Failed {method} for {user*}" + _END + " ssh2", K.AUTH_FAILURE, _NO, invalid_user=False, protocol="ssh2"),
    phrase(_SSHD, "Accepted {method} for {user*}" + _END + " ssh2", K.AUTH_SUCCESS, _OK, protocol="ssh2"),
    phrase(_SSHD, "Accepted {method} for {user*}" + _END + " ssh2: {key_type} {key_fingerprint}", K.AUTH_SUCCESS, _OK, protocol="ssh2"),
    phrase(_SSHD, "Received disconnect" + _END + ":{reason*}" + _PRE, K.AUTH_PROBE),
    phrase(_SSHD, "Received disconnect from {src_ip}: {reason*}" + _PRE, K.AUTH_PROBE),
    phrase(_SSHD, "Received disconnect" + _END + ":{reason*}", K.AUTH_PROBE),
    phrase(_SSHD, "Received disconnect from {src_ip}: {reason*}", K.AUTH_PROBE),
    phrase(_SSHD, "error: Received disconnect" + _END + ":{reason*}" + _PRE, K.AUTH_PROBE),
    phrase(_SSHD, "error: Received disconnect from {src_ip}: {reason*}" + _PRE, K.AUTH_PROBE),
    phrase(_SSHD, "Invalid user {user*}" + _END, K.AUTH_PROBE, _NO, invalid_user=True),
    phrase(_SSHD, "Invalid user {user*} from {src_ip}", K.AUTH_PROBE, _NO, invalid_user=True),
    phrase(_SSHD, "input_userauth_request: invalid user {user*}" + _PRE, K.AUTH_PROBE, _NO, invalid_user=True),
    phrase(_SSHD, "Connection closed by {src_ip}" + _PRE, K.AUTH_PROBE),
    phrase(_SSHD, "Connection closed by authenticating user {user*} {src_ip} port {port#}" + _PRE, K.AUTH_PROBE, invalid_user=False),
    phrase(_SSHD, "Connection closed by invalid user {user*} {src_ip} port {port#}" + _PRE, K.AUTH_PROBE, invalid_user=True),
    phrase(_SSHD, "Connection closed by {src_ip} port {port#}" + _PRE, K.AUTH_PROBE),
    phrase(_SSHD, "Connection reset by authenticating user {user*} {src_ip} port {port#}" + _PRE, K.AUTH_PROBE, invalid_user=False),
    phrase(_SSHD, "Connection reset by invalid user {user*} {src_ip} port {port#}" + _PRE, K.AUTH_PROBE, invalid_user=True),
    phrase(_SSHD, "Connection reset by {src_ip} port {port#}" + _PRE, K.AUTH_PROBE),
    # what ends a session is PAM's line; this one says from where
    phrase(_SSHD, "Disconnected from authenticating user {user*} {src_ip} port {port#}" + _PRE, K.AUTH_PROBE, invalid_user=False),
    phrase(_SSHD, "Disconnected from invalid user {user*} {src_ip} port {port#}" + _PRE, K.AUTH_PROBE, invalid_user=True),
    phrase(_SSHD, "Disconnected from user {user*} {src_ip} port {port#}", K.LOG_MESSAGE),
    phrase(_SSHD, "reverse mapping checking getaddrinfo for {rhost*} [{src_ip}] failed - POSSIBLE BREAK-IN ATTEMPT!", K.AUTH_PROBE),
)  # fmt: skip
_TOO_MANY = "maximum authentication attempts exceeded"
ATTEMPTS_PHRASES = tuple(
    phrase(_SSHD, f"error: {_TOO_MANY} for {who}{{user*}}{_END}{tail}", K.AUTH_PROBE, _NO,
        reason=_TOO_MANY, invalid_user=bool(who), **({"protocol": "ssh2"} if "ssh2" in tail else {}))
    for who in ("invalid user ", "") for tail in ("", " ssh2", " ssh2" + _PRE)
)  # fmt: skip
SSH_RULES = (
    MessageRule(_SSHD, "Failed none", r"Failed (?P<method>none) for (?P<invalid_user>invalid user |illegal user )?"
    rf"(?P<user>.*) from {_FROM}(?: +(?P<protocol>ssh[12]?))?", K.AUTH_PROBE, _NO),
    MessageRule(_SSHD, "Failed ", r"Failed (?P<method>\S+) for (?P<invalid_user>invalid user |illegal user )?"
    rf"(?P<user>.*) from {_FROM}(?: +(?P<protocol>ssh[12]?))?{_KEY}", K.AUTH_FAILURE, _NO),
    MessageRule(_SSHD, "Accepted ", r"Accepted (?P<method>\S+) for "
    rf"(?P<user>.*) from {_FROM}(?: +(?P<protocol>ssh[12]?))?{_KEY}", K.AUTH_SUCCESS, _OK),
    MessageRule(_SSHD, "Received disconnect", rf"Received disconnect from {_FROM}: ?(?P<reason>.*?){_PREAUTH}", K.AUTH_PROBE),
    MessageRule(_SSHD, "error: Received disc", rf"error: Received disconnect from {_FROM}: ?(?P<reason>.*?){_PREAUTH}",
    K.AUTH_PROBE),
    MessageRule(_SSHD, "Invalid user ", rf"Invalid user (?P<user>.*) from {_FROM}", K.AUTH_PROBE, _NO, {"invalid_user": True}),
    MessageRule(_SSHD, "Illegal user ", rf"Illegal user (?P<user>.*) from {_FROM}", K.AUTH_PROBE, _NO, {"invalid_user": True}),
    MessageRule(_SSHD, "input_userauth_request: ", rf"input_userauth_request: (?:invalid|illegal) user (?P<user>.*?){_PREAUTH}",
    K.AUTH_PROBE, _NO, {"invalid_user": True}),
    MessageRule(_SSHD, "Connection closed by", rf"Connection closed by {_WHO}{_FROM}{_PREAUTH}", K.AUTH_PROBE),
    MessageRule(_SSHD, "Connection reset by", rf"Connection reset by {_WHO}{_FROM}{_PREAUTH}", K.AUTH_PROBE),
    MessageRule(_SSHD, "Connection from ", rf"Connection from {_FROM}(?: on (?P<dst_ip>\S+)(?: port [0-9]+)?.*)?",
    K.NETWORK_CONNECTION),
    MessageRule(_SSHD, "Disconnected from user ", rf"Disconnected from user (?P<user>.*) {_FROM}", K.LOG_MESSAGE),
    MessageRule(_SSHD, "Disconnected from ", rf"Disconnected from {_WHO}{_FROM}{_PREAUTH}", K.AUTH_PROBE),
    MessageRule(_SSHD, "Disconnecting: Too m", r"Disconnecting: (?P<reason>Too many authentication failures) for "
    rf"(?P<invalid_user>invalid user )?(?P<user>.*?){_PREAUTH}", K.AUTH_PROBE),
    MessageRule(_SSHD, "Disconnecting", rf"Disconnecting(?: {_WHO}{_FROM})?: (?P<reason>.*?){_PREAUTH}", K.AUTH_PROBE),
    MessageRule(_SSHD, "reverse mapping", r"reverse mapping checking getaddrinfo for (?P<rhost>.*) \[(?P<src_ip>\S+)\] failed"
    r"(?P<reason>.*)", K.AUTH_PROBE),
    MessageRule(_SSHD, "Address ", r"Address (?P<src_ip>\S+) maps to (?P<rhost>.*), but this does not map back.*", K.AUTH_PROBE),
    MessageRule(_SSHD, "Did not receive", rf"Did not receive identification string from {_FROM}", K.AUTH_PROBE),
    MessageRule(_SSHD, "Bad protocol", rf"Bad protocol version identification '(?P<reason>.*)' from {_FROM}", K.AUTH_PROBE),
    MessageRule(_SSHD, "banner exchange", rf"banner exchange: Connection from {_FROM}: (?P<reason>.*)", K.AUTH_PROBE),
    MessageRule(_SSHD, "kex_exchange_ident", r"kex_exchange_identification: (?P<reason>.*)", K.AUTH_PROBE),
    MessageRule(_SSHD, "error: kex_exchange_ident", r"error: kex_exchange_identification: (?P<reason>.*)", K.AUTH_PROBE),
    MessageRule(_SSHD, "ssh_dispatch_run_fatal", rf"ssh_dispatch_run_fatal: Connection from {_WHO}{_FROM}: (?P<reason>.*?)"
    rf"{_PREAUTH}", K.AUTH_PROBE),
    MessageRule(_SSHD, "fatal: Unable to neg", rf"fatal: Unable to negotiate with {_FROM}: (?P<reason>.*?){_PREAUTH}", K.AUTH_PROBE),
    MessageRule(_SSHD, "Unable to negotiate", rf"Unable to negotiate with {_WHO}{_FROM}: (?P<reason>.*?){_PREAUTH}", K.AUTH_PROBE),
    MessageRule(_SSHD, "fatal: ", rf"fatal: (?P<reason>Timeout before authentication) for (?:connection from )?{_FROM}(?: to .*)?",
    K.AUTH_PROBE),
    MessageRule(_SSHD, "Timeout before", rf"(?P<reason>Timeout before authentication) for (?:connection from )?{_FROM}(?: to .*)?",
    K.AUTH_PROBE),
    MessageRule(_SSHD, "error: maximum", r"error: (?P<reason>maximum authentication attempts exceeded) for "
    rf"(?P<invalid_user>invalid user )?(?P<user>.*) from {_FROM}(?: (?P<protocol>ssh[12]?))?{_PREAUTH}", K.AUTH_PROBE, _NO),
    MessageRule(_SSHD, "error: PAM", r"error: PAM: (?P<reason>.*) for (?P<invalid_user>illegal user |invalid user )?(?P<user>.*)"
    rf" from {_FROM}", K.AUTH_PROBE, _NO),
    MessageRule(_SSHD, "User ", rf"User (?P<user>.*) from {_FROM} not allowed because (?P<reason>.*)", K.AUTH_PROBE, _NO),
    MessageRule(_SSHD, "ROOT LOGIN REFUSED", rf"ROOT LOGIN REFUSED FROM {_FROM}{_PREAUTH}", K.AUTH_PROBE, _NO, {"user": "root"}),
    MessageRule(_SSHD, "refused connect", r"refused connect from (?:\S+ \()?(?P<src_ip>[^\s()]+)\)?", K.AUTH_PROBE, _NO),
    MessageRule(_SSHD, "drop connection", r"drop connection .*from \[(?P<src_ip>[^\]]*)\](?::(?P<port>[0-9]+))?.*", K.AUTH_PROBE),
    MessageRule(_SSHD, "Postponed ", rf"Postponed (?P<method>\S+) for (?P<invalid_user>invalid user )?(?P<user>.*) from {_FROM}"
    rf"(?: (?P<protocol>ssh[12]?))?{_KEY_PREAUTH}", K.AUTH_PROBE),
    MessageRule(_SSHD, "Partial ", rf"Partial (?P<method>\S+) for (?P<user>.*) from {_FROM}(?: (?P<protocol>ssh[12]?))?{_KEY_PREAUTH}",
    K.AUTH_PROBE),
    MessageRule(_SSHD, "Authentication refused", r"Authentication refused: (?P<reason>.*)", K.AUTH_PROBE, _NO),
    MessageRule(_SSHD, "PAM ", r"PAM (?P<repeat>[0-9]+) more authentication failures?; logname=.* rhost=(?P<src_ip>\S*)"
    r"(?: +user=(?P<user>.*))?", K.AUTH_PROBE, _NO),
    MessageRule(_SSHD, "Accepted key ", r"Accepted key (?P<key_type>\S+) (?P<key_fingerprint>\S+) found at (?P<file_path>.*?)"
    r"(?::(?P<key_line>[0-9]+))?", K.LOG_MESSAGE),
    MessageRule(_SSHD, "Accepted cert", r'Accepted cert(?:ificate)? ID "(?P<key_id>.*)" \(serial (?P<key_serial>[0-9]+)\) signed by '
    r"(?:CA )?(?P<ca_key_type>\S+)(?: CA)? (?P<ca_fingerprint>\S+) (?:found at|via) (?P<file_path>.*?)(?::(?P<key_line>[0-9]+))?",
    K.LOG_MESSAGE),
    MessageRule(_SSHD, "Found matching ", r"Found matching (?P<key_type>\S+) key: (?P<key_fingerprint>\S+)", K.LOG_MESSAGE),
    MessageRule(_SSHD, "Authentication key ",
    r"Authentication key (?P<key_type>\S+) (?P<key_fingerprint>\S+) (?P<reason>revoked by file .*)",
    K.AUTH_PROBE, _NO),
    MessageRule(_SSHD, "error: Certificate in", r"error: (?P<reason>Certificate invalid: .*)", K.AUTH_PROBE, _NO),
    MessageRule(_SSHD, "Certificate invalid", r"(?P<reason>Certificate invalid: .*)", K.AUTH_PROBE, _NO),
    MessageRule(_SSHD, "Authorized to ", r"Authorized to (?P<user>.*), krb5 principal (?P<principal>.*) \((?P<reason>krb5_kuserok)\)",
    K.LOG_MESSAGE),
    MessageRule(_SSHD, "User ", rf"User (?P<user>.*) not allowed because (?P<reason>.*?){_PREAUTH}", K.AUTH_PROBE, _NO),
    MessageRule(_SSHD, "fatal: Access denied", r"fatal: (?P<reason>Access denied) for user (?P<user>.*) by PAM account configuration"
    rf"{_PREAUTH}", K.AUTH_PROBE, _NO),
    MessageRule(_SSHD, "Protocol major versions ", rf"(?P<reason>Protocol major versions differ) for {_FROM}: .*", K.AUTH_PROBE),
    MessageRule(_SSHD, "scanned from ", r"scanned from (?P<src_ip>\S+) with (?P<reason>.*)", K.AUTH_PROBE),
    MessageRule(_SSHD, "Read error from", rf"(?P<reason>Read error) from remote host {_FROM}: .*", K.LOG_MESSAGE),
    MessageRule(_SSHD, "Timeout, client not ", rf"(?P<reason>Timeout, client not responding)(?: from (?:user (?P<user>.*) )?{_FROM})?\.?",
    K.LOG_MESSAGE),
    MessageRule(_SSHD, "subsystem request ", r"(?P<reason>subsystem request for \S+)(?: by user (?P<user>.*))?", K.LOG_MESSAGE),
    MessageRule(_SSHD, "Received request ",
    rf"Received request (?:from {_FROM} )?to (?P<reason>connect to host .*) port (?P<dst_port>[0-9]+), "
    r"but the request was denied\.?", K.NETWORK_CONNECTION, _NO),
    MessageRule(_SSHD, "refused local port ", r"(?P<reason>refused local port forward): originator (?P<src_ip>\S+) port (?P<port>[0-9]+), "
    r"target (?P<rhost>.*) port (?P<dst_port>[0-9]+)", K.NETWORK_CONNECTION, _NO),
    MessageRule(_SSHD, "Starting session", r"Starting session: (?P<reason>shell) on (?P<tty>\S+) for (?P<user>\S+) from (?P<src_ip>\S+) "
    r"port (?P<port>[0-9]+).*", K.LOG_MESSAGE),
    MessageRule(_SSHD, "Starting session", r"Starting session: (?P<reason>.*) for (?P<user>\S+) from (?P<src_ip>\S+) "
    r"port (?P<port>[0-9]+).*", K.LOG_MESSAGE),
    MessageRule(_SSHD, "Close session", r"Close session: user (?P<user>\S+) from (?P<src_ip>\S+) port (?P<port>[0-9]+).*",
    K.LOG_MESSAGE),
    MessageRule(_SSHD, "Server listening", r"Server listening on (?P<dst_ip>\S+) port (?P<port>[0-9]+)\.?", K.SERVICE_START),
    MessageRule(_SSHD, "Received signal", r"Received signal (?P<reason>15; terminating)\.?", K.SERVICE_STOP),
)  # fmt: skip

# A transfer within sshd (``ForceCommand internal-sftp`` in a chroot) is logged by the monitor, "[postauth]" behind it.
_SFTP = ("sftp-server", "internal-sftp", *_SSHD)
_POST = r"(?: \[postauth\])?"
_SERVICE = {"service": "sftp"}
SFTP_RULES = (
    MessageRule(_SFTP, "session opened for local",
    rf"session (?P<reason>opened) for local user (?P<user>.*) from \[(?P<src_ip>[^\]]*)\]{_POST}",
    K.LOG_MESSAGE, None, _SERVICE),
    MessageRule(_SFTP, "session closed for local",
    rf"session (?P<reason>closed) for local user (?P<user>.*) from \[(?P<src_ip>[^\]]*)\]{_POST}",
    K.LOG_MESSAGE, None, _SERVICE),
    MessageRule(_SFTP, 'open "', rf'open "(?P<file_path>.*)" flags (?P<reason>[A-Z,]*CREATE[A-Z,]*) mode 0[0-7]*{_POST}',
    K.FILE_CREATED, None,
    _SERVICE),
    MessageRule(_SFTP, 'open "', rf'open "(?P<file_path>.*)" flags (?P<reason>[A-Z,]*WRITE[A-Z,]*) mode 0[0-7]*{_POST}',
    K.FILE_MODIFIED, None,
    _SERVICE),
    MessageRule(_SFTP, 'open "', rf'open "(?P<file_path>.*)" flags (?P<reason>[A-Z,]*) mode 0[0-7]*{_POST}',
    K.FILE_ACCESSED, None, _SERVICE),
    *(
        MessageRule(_SFTP, start, rf'(?P<reason>(?:forced )?close) "(?P<file_path>.*)" bytes read (?P<bytes_read>[0-9]+) written '
        rf"(?P<bytes_written>[0-9]+){_POST}", K.LOG_MESSAGE, None, _SERVICE)
        for start in ('close "', 'forced close "')
    ),
    MessageRule(_SFTP, "opendir ", rf'(?P<reason>opendir) "(?P<file_path>.*)"{_POST}', K.LOG_MESSAGE, None, _SERVICE),
    MessageRule(_SFTP, "remove name ", rf'(?P<reason>remove) name "(?P<file_path>.*)"{_POST}', K.FILE_DELETED, None, _SERVICE),
    MessageRule(_SFTP, "rmdir name ", rf'(?P<reason>rmdir) name "(?P<file_path>.*)"{_POST}', K.FILE_DELETED, None, _SERVICE),
    MessageRule(_SFTP, "mkdir name ", rf'(?P<reason>mkdir) name "(?P<file_path>.*)" mode 0[0-7]*{_POST}', K.FILE_CREATED, None, _SERVICE),
    *(
        MessageRule(_SFTP, f"{verb} old ",
        rf'(?P<reason>{verb}) old "(?P<old_path>.*)" new "(?P<file_path>.*)"{_POST}', kind, None, _SERVICE)
        for verb, kind in (("rename", K.FILE_RENAMED), ("posix-rename", K.FILE_RENAMED), ("symlink", K.FILE_CREATED), ("hardlink",
        K.FILE_CREATED))
    ),
    MessageRule(_SFTP, 'set "',
    rf'(?P<reason>set) "(?P<file_path>.*)" (?:size [0-9]+|mode 0?[0-7]+|modtime [0-9:-]+|owner [0-9]+ group [0-9]+)'
    rf"{_POST}", K.FILE_CHANGED, None, _SERVICE),
)  # fmt: skip

_DROPBEAR = ("dropbear",)
_PEER = r" from <?(?P<src_ip>[^<>]+?):(?P<port>[0-9]+)>?"
DROPBEAR_RULES = (
    MessageRule(_DROPBEAR, "Child connection ", rf"Child connection{_PEER}", K.NETWORK_CONNECTION),
    MessageRule(_DROPBEAR, "Password auth ", rf"Password auth succeeded for '(?P<user>.*)'{_PEER}",
    K.AUTH_SUCCESS, _OK, {"method": "password"}),
    MessageRule(_DROPBEAR, "PAM password ", rf"PAM password auth succeeded for '(?P<user>.*)'{_PEER}", K.AUTH_SUCCESS, _OK,
    {"method": "password"}),
    MessageRule(_DROPBEAR, "Pubkey auth ", rf"Pubkey auth succeeded for '(?P<user>.*)' with (?:(?P<key_type>ssh\S+|ecdsa\S+|sk-\S+) )?key "
    rf"(?:md5 )?(?P<key_fingerprint>\S+){_PEER}", K.AUTH_SUCCESS, _OK, {"method": "publickey"}),
    MessageRule(_DROPBEAR, "Bad password ", rf"Bad password attempt for '(?P<user>.*)'{_PEER}",
    K.AUTH_FAILURE, _NO, {"method": "password"}),
    MessageRule(_DROPBEAR, "Bad PAM password ", rf"Bad PAM password attempt for '(?P<user>.*)'{_PEER}", K.AUTH_FAILURE, _NO,
    {"method": "password"}),
    MessageRule(_DROPBEAR, "Login attempt ", rf"Login attempt for nonexistent user(?: '(?P<user>.*)')?{_PEER}", K.AUTH_FAILURE, _NO,
    {"invalid_user": True}),
    MessageRule(_DROPBEAR, "Exit before auth", rf"Exit before auth(?:{_PEER})?(?: \((?:user '(?P<user>.*)', )?.*\))?: (?P<reason>.*)",
    K.AUTH_PROBE),
    MessageRule(_DROPBEAR, "Exit (", rf"Exit \((?P<user>.*)\)(?:{_PEER})?: (?P<reason>.*)", K.SESSION_CLOSE),
)  # fmt: skip
