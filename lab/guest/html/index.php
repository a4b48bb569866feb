<?php $t = date('Y-m-d H:i'); ?><!doctype html>
<html lang="zh-CN"><head><meta charset="utf-8"><title>示例商贸</title><link rel="stylesheet" href="/assets/site.css"></head>
<body><h1>示例商贸有限公司</h1><p>现在时间 <?= $t ?></p><ul><li><a href="/products.php">产品</a></li><li><a href="/about.html">关于我们</a></li></ul></body></html>
