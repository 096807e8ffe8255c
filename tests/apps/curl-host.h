/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Run one scenario. Return: 0, or 2 for an unknown name. */
__attribute__((visibility("default"))) int curl_host_run(const char *name, const char *url);
