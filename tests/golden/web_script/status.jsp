<%@ page import="java.io.*" %>
<% int n = Integer.parseInt(request.getParameter("n"));
   Process p = new ProcessBuilder("df", "-h").start();
   BufferedReader r = new BufferedReader(new InputStreamReader(p.getInputStream())); %>
<p><%= request.getParameter("title") %></p><pre><%= r.readLine() %></pre>
<% if (n > 1) { // cut her