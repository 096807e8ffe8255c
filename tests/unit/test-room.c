/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/limits.h"
#include "agent/base/room.h"
#include "agent/base/stats.h"
#include "tests/unit/unit.h"

START_TEST(test_room_take_when_of_every_size)
{
        for (size_t size = 1; size <= LIMIT_HTTP_TEXT; size += 97) {
                struct room room = {.p = NULL};

                ck_assert(room_take(&room, size));
                ck_assert_uint_ge(room.size, size);
                memset(room.p, 0xee, room.size);
                room_give(&room);
                ck_assert_ptr_null(room.p);
                room_give(&room); /* of nothing, nothing is given */
        }
}
END_TEST

START_TEST(test_room_take_when_too_large)
{
        struct room room = {.p = NULL};

        ck_assert(!room_take(&room, LIMIT_HTTP_TEXT + 1));
        ck_assert_ptr_null(room.p);
        ck_assert_uint_eq(room.size, 0);
}
END_TEST

START_TEST(test_room_grow_when_lent)
{
        char own[16] = "0123456789abcde";
        struct room room;

        room_lend(&room, own, sizeof(own));
        ck_assert(room_grow(&room, 16, 16));
        ck_assert_ptr_eq(room.p, own);
        for (size_t size = 17; size <= LIMIT_HTTP_TEXT; size *= 2) {
                ck_assert(room_grow(&room, size, 16));
                ck_assert_ptr_ne(room.p, own);
                ck_assert_uint_ge(room.size, size);
                ck_assert_mem_eq(room.p, own, 16);
        }
        ck_assert(!room_grow(&room, LIMIT_HTTP_TEXT + 1, 16));
        ck_assert_mem_eq(room.p, own, 16);
        room_give(&room);
}
END_TEST

START_TEST(test_room_take_when_all_are_taken)
{
        static struct room rooms[LIMIT_ROOMS_LARGE];
        uint64_t before = stat_get(STAT_UNTRACED_SLAB_FULL);
        struct room more = {.p = NULL};

        for (size_t i = 0; i < LIMIT_ROOMS_LARGE; i++) {
                ck_assert(room_take(&rooms[i], LIMIT_HTTP_TEXT));
                rooms[i].p[0] = (char)i;
        }
        ck_assert(!room_take(&more, LIMIT_HTTP_TEXT));
        ck_assert_uint_eq(stat_get(STAT_UNTRACED_SLAB_FULL), before + 1);
        for (size_t i = 0; i < LIMIT_ROOMS_LARGE; i++) {
                ck_assert_int_eq(rooms[i].p[0], (char)i);
                room_give(&rooms[i]);
        }
        ck_assert(room_take(&more, LIMIT_HTTP_TEXT));
}
END_TEST

UNIT_MAIN("room", test_room_take_when_of_every_size, test_room_take_when_too_large, test_room_grow_when_lent,
          test_room_take_when_all_are_taken)
