/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Which file a command name means, by the rules of execvp and the shells.
 */

/**
 * search_command() - the file that running @command would execute
 * @path_list: value of PATH, NULL for the system's default
 * @ret_path: to be freed; a name without a slash never comes back
 *
 * A name with a slash is taken as it is, only looked at. Directories are not commands.
 *
 * Context: start.
 * Return: 0, -ENOENT, -EACCES (there, but not executable), -EISDIR, or another negative errno.
 */
int search_command(const char *command, const char *path_list, char **ret_path);
