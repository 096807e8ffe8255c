/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the launcher says to the person in front of it: one line on stderr, whatever the texts hold.
 */

/**
 * say_error() / say_warning() - "otel-instrument: error: ..." and "otel-instrument: warning: ..."
 *
 * Control characters are replaced, so that no value can write on the terminal or add lines.
 *
 * Context: start.
 */
void say_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void say_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
