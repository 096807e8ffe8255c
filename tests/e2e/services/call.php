<?php
// SPDX-License-Identifier: Apache-2.0
// /...?url=U asks for U and passes its body on.
header('Content-Type: text/plain');
echo file_get_contents($_GET['url']);
