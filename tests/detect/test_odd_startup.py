# SPDX-License-Identifier: Apache-2.0
"""What rarer start-up settings load or allow is told by itself; what honest systems set there is not."""

from __future__ import annotations

from typing import Any

import pytest
from memory_events import MemoryEvents

from headwater.detect import registry
from headwater.detect.detectors import odd_startup
from headwater.examine.parsers import linux_setting, linux_startup, linux_sudoers
from headwater.model.kinds import Severity
from headwater.model.ports import Settings
from headwater.model.records import Event, File


def found(path: str, text: str, parser: Any = linux_startup) -> list[tuple[str, Severity]]:
    records = [r for r in parser.parse(File.of(text.encode(), "p1!" + path)) if isinstance(r, Event)]
    events = MemoryEvents().put(parser.FEED, "p1!" + path, records)
    return [(str(f.facts["reason"]), f.severity) for f in registry.run(odd_startup, events, Settings())]


@pytest.mark.parametrize(
    ("path", "text", "reason"),
    [
        ("/var/www/html/.user.ini", "auto_prepend_file=logo.png\n", "prepended"),
        ("/etc/php/8.2/fpm/php.ini", "auto_append_file = /tmp/x.php\n", "prepended"),
        ("/var/www/html/.htaccess", "php_value auto_prepend_file /dev/shm/.x\n", "prepended"),
        ("/var/www/html/.htaccess", "AddHandler application/x-httpd-php .jpg\n", "picture-as-code"),
        ("/etc/php/8.2/fpm/conf.d/x.ini", "extension=/tmp/x.so\n", "loaded"),
        ("/etc/nginx/modules-enabled/x.conf", "load_module /var/tmp/x.so;\n", "loaded"),
        ("/etc/inetd.conf", "ingreslock stream tcp nowait root /bin/sh sh -i\n", "shell-on-port"),
        ("/etc/xinetd.d/x", "service x\n{\n server = /bin/bash\n}\n", "shell-on-port"),
        ("/boot/grub/grub.cfg", "linux /vmlinuz root=/dev/sda1 init=/tmp/x\n", "boot"),
    ],
)  # fmt: skip
def test_a_way_in_by_what_a_setting_names(path: str, text: str, reason: str) -> None:
    assert found(path, text) == [(reason, Severity.HIGH)]


def test_a_module_named_like_a_rootkit_is_high_and_others_say_nothing() -> None:
    assert found("/etc/modules-load.d/x.conf", "diamorphine\nbr_netfilter\n", linux_setting) == [
        ("rootkit", Severity.HIGH)
    ]
    assert found("/etc/modules", "# loaded at boot\nloop\noverlay\nnf_conntrack\n", linux_setting) == []


def test_a_servers_account_with_all_rights_is_high_and_an_administrators_is_not() -> None:
    path = "/etc/sudoers.d/x"
    assert found(path, "www-data ALL=(ALL) NOPASSWD: ALL\n", linux_sudoers) == [("sudo", Severity.HIGH)]
    assert found(path, "ALL ALL=(ALL:ALL) NOPASSWD:ALL\n", linux_sudoers) == [("sudo", Severity.HIGH)]
    honest = "root ALL=(ALL:ALL) ALL\n%sudo ALL=(ALL:ALL) ALL\nubuntu ALL=(ALL) NOPASSWD:ALL\n"
    honest += "www-data ALL=(root) NOPASSWD: /usr/bin/systemctl reload nginx\nzabbix ALL=NOPASSWD: /usr/bin/fping\n"
    assert found(path, honest, linux_sudoers) == []


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/etc/php/8.2/fpm/php.ini", "auto_prepend_file =\nauto_append_file =\nextension=curl\nzend_extension=opcache.so\n"),
        ("/var/www/html/.htaccess", "AddType image/webp .webp\nAddHandler application/x-httpd-php .php\nRewriteEngine On\n"),
        ("/etc/apache2/mods-enabled/php.load", "LoadModule php_module /usr/lib/apache2/modules/libphp8.2.so\n"),
        ("/etc/inetd.conf", "ftp stream tcp nowait root /usr/sbin/tcpd /usr/sbin/in.ftpd\n"),
        ("/etc/default/grub", 'GRUB_CMDLINE_LINUX_DEFAULT="quiet"\nGRUB_CMDLINE_LINUX="init=/lib/systemd/systemd"\n'),
        ("/etc/docker/daemon.json", '{"hosts": ["unix:///var/run/docker.sock", "tcp://127.0.0.1:2376"]}\n'),
        ("/home/a/.git/config", "[core]\n\tbare = false\n[remote \"o\"]\n\turl = https://x.org/a.git\n"),
        ("/home/a/.vimrc", "set number\n"),
    ],
)  # fmt: skip
def test_honest_settings_say_nothing(path: str, text: str) -> None:
    assert found(path, text) == []


def test_a_tracing_library_that_php_prepends_is_low() -> None:
    assert found("/etc/php/8.2/fpm/conf.d/apm.ini", "auto_prepend_file=/opt/apm/prepend.php\n") == [
        ("prepended", Severity.LOW)
    ]


def test_the_open_port_of_a_container_engine_is_medium() -> None:
    assert found("/etc/docker/daemon.json", '{"hosts": ["tcp://0.0.0.0:2375"]}\n') == [("docker-port", Severity.MEDIUM)]


def test_a_sample_hook_of_git_is_no_hook() -> None:
    assert found("/a/.git/hooks/pre-commit.sample", "#!/bin/sh\nexit 0\n") == []
