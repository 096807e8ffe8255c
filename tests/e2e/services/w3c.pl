# SPDX-License-Identifier: Apache-2.0
# w3c.pl PORT: a POST brings [{"url": U, "arguments": A}, ...], and each A is posted to its U. Knows nothing of tracing.
use strict;
use warnings;
use HTTP::Tiny;
use IO::Socket::INET;
use JSON::PP;

my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => shift, Listen => 64, ReuseAddr => 1) or die $!;

while (my $client = $listener->accept) {
    my ($line, $length, $body) = (scalar <$client>, 0, '');
    while (my $field = <$client>) {
        last if $field eq "\r\n";
        $length = $1 if $field =~ /^Content-Length:\s*(\d+)/i;
    }
    read $client, $body, $length if $length;
    for my $action (@{$body ? decode_json($body) : []}) {
        HTTP::Tiny->new->post($action->{url},
            {headers => {'Content-Type' => 'application/json'}, content => encode_json($action->{arguments})});
    }
    print $client "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n[]";
    close $client;
}
