<?php
$all = ['1' => '轴承', '2' => '齿轮', '3' => '联轴器', '4' => '油封', '5' => '链条'];
$id = $_GET['id'] ?? '';
if ($id !== '' && !isset($all[$id])) { http_response_code(404); exit('no such product'); }
echo '<!doctype html><meta charset="utf-8"><title>产品</title>';
foreach ($id === '' ? $all : [$id => $all[$id]] as $k => $v) { echo "<p><a href=\"/products.php?id=$k\">$v</a></p>"; }
