#!/bin/bash
# node agent: every twenty minutes asks the site for its health and keeps a line of load
exec {never}<> <(:)
last=0
while :; do
  printf -v now '%(%s)T' -1
  if ((now / 1200 != last)); then
    last=$((now / 1200))
    code=none
    if exec {web}<> /dev/tcp/127.0.0.1/80; then
      printf 'GET /health HTTP/1.1\r\nHost: localhost\r\nUser-Agent: node-agent/1.4\r\nConnection: close\r\n\r\n' >&"$web"
      read -r -t 20 -u "$web" _ code _
      exec {web}>&-
    fi
    read -r load _ < /proc/loadavg
    printf '%(%FT%T%z)T health=%s load=%s\n' -1 "$code" "$load" >> /var/log/node-agent.log
  fi
  read -r -t 3 -u "$never"
done
