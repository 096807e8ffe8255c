<?php
// SPDX-License-Identifier: Apache-2.0
// /status/NNN answers so, everything else says what it got.
$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
header('Content-Type: text/plain');
if (preg_match('{^/status/(\d{3})$}', $path, $match)) {
    http_response_code((int) $match[1]);
}
echo $_SERVER['REQUEST_METHOD'], ' ', $path, ' ', strlen(file_get_contents('php://input')), "\n";
