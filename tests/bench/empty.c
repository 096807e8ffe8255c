/* SPDX-License-Identifier: Apache-2.0 */
/* The preload that does nothing: what any preload costs. */
extern const int empty_preload;
__attribute__((visibility("default"))) const int empty_preload = 1;
