# SPDX-License-Identifier: Apache-2.0
"""How each recorded server is started in the foreground, in a folder of its own, as a reverse proxy."""
import os

NGINX = '''
daemon off; worker_processes 1; user root; pid {home}/pid; error_log {home}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {home}/body; proxy_temp_path {home}/proxy; fastcgi_temp_path {home}/f;
  uwsgi_temp_path {home}/u; scgi_temp_path {home}/s;
  upstream behind {{ server 127.0.0.1:{back}; {pool} }}
  server {{
    listen 127.0.0.1:{front};
    location / {{ proxy_pass http://behind; {kept} }}
  }}
}}
'''

HAPROXY = '''
global
  nbthread {threads}
defaults
  mode http
  timeout client 20s
  timeout server 20s
  timeout connect 5s
  http-reuse always
frontend f
  bind 127.0.0.1:{front}
  default_backend b
backend b
  server s 127.0.0.1:{back}
'''

APACHE = '''
ServerRoot {home}
ServerName localhost
PidFile {home}/pid
ErrorLog {home}/error.log
Listen 127.0.0.1:{front}
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule proxy_module /usr/lib/apache2/modules/mod_proxy.so
LoadModule proxy_http_module /usr/lib/apache2/modules/mod_proxy_http.so
User nobody
Group nogroup
StartServers 1
ServerLimit 1
ThreadsPerChild 64
MaxRequestWorkers 64
ProxyPass / http://127.0.0.1:{back}/
'''

LIGHTTPD = '''
server.port = {front}
server.bind = "127.0.0.1"
server.document-root = "{home}"
server.errorlog = "{home}/error.log"
server.modules = ( "mod_proxy" )
proxy.server = ( "" => (( "host" => "127.0.0.1", "port" => {back} )) )
'''


def configured(text, *command, **more):
    def start(home, front, back):
        path = os.path.join(home, 'conf')
        with open(path, 'w', encoding='ascii') as f:
            f.write(text.format(home=home, front=front, back=back, **more))
        return [word.format(conf=path, home=home) for word in command]
    return start


def nginx(pool, kept):
    return configured(NGINX, '/usr/sbin/nginx', '-p', '{home}', '-c', '{conf}', pool=pool, kept=kept)


def haproxy(threads):
    return configured(HAPROXY, '/usr/sbin/haproxy', '-db', '-f', '{conf}', threads=threads)


def epoll_proxy(program):
    return lambda home, front, back: [program, str(front), str(back)]


def servers(proxy_program):
    return {
        'nginx': nginx('keepalive 16;', 'proxy_http_version 1.1; proxy_set_header Connection "";'),
        'nginx-no-pool': nginx('', ''),
        'haproxy-1': haproxy(1),
        'haproxy-2': haproxy(2),
        'haproxy-4': haproxy(4),
        'apache-event': configured(APACHE, '/usr/sbin/apache2', '-DFOREGROUND', '-f', '{conf}'),
        'lighttpd': configured(LIGHTTPD, '/usr/sbin/lighttpd', '-D', '-f', '{conf}'),
        'epoll-proxy': epoll_proxy(proxy_program),
    }
