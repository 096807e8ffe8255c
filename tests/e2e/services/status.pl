# SPDX-License-Identifier: Apache-2.0
# status.pl PORT: /status/NNN answers so, everything else says what it got.
use strict;
use warnings;
use IO::Socket::INET;

my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => shift, Listen => 64, ReuseAddr => 1) or die $!;

while (my $client = $listener->accept) {
    my ($length, $body) = (0, '');
    my ($method, $path) = split ' ', scalar <$client> // '';
    while (my $field = <$client>) {
        last if $field eq "\r\n";
        $length = $1 if $field =~ /^Content-Length:\s*(\d+)/i;
    }
    read $client, $body, $length if $length;
    my $status = ($path // '') =~ m{^/status/(\d{3})$} ? $1 : 200;
    my $answer = $method eq 'HEAD' ? '' : "$method $path $length\n";
    print $client "HTTP/1.1 $status Reason\r\nContent-Length: ", length "$method $path $length\n",
        "\r\nConnection: close\r\n\r\n$answer";
    close $client;
}
