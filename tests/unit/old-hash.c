/* SPDX-License-Identifier: Apache-2.0 */
/* One function to be found by the table that linkers wrote before DT_GNU_HASH. */
__attribute__((visibility("default"))) int old_hash_function(void);

int old_hash_function(void)
{
        return 1;
}
