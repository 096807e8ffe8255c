/* SPDX-License-Identifier: Apache-2.0 */
#include "export/refine_process.h"

#include "export/refine_attr.h"

static struct slice base_name(struct slice path)
{
        const char *slash = path.len ? memrchr(path.p, '/', path.len) : NULL;

        return slash ? slice_from(path, (size_t)(slash - path.p) + 1) : path;
}

void refine_process(struct refine_draft *draft)
{
        struct slice path = refine_draft_str(draft, SEMCONV_PROCESS_EXECUTABLE_PATH);
        struct slice name = refine_draft_str(draft, SEMCONV_PROCESS_EXECUTABLE_NAME);
        const struct attr *code = refine_attr(draft->raw, SEMCONV_PROCESS_EXIT_CODE, ATTR_INT);
        int64_t pid = refine_draft_int(draft, SEMCONV_PROCESS_PID);

        if (!name.len)
                name = base_name(path);
        draft->out.name = refine_draft_copy(draft, name.len ? name : SLICE("process"));
        refine_draft_add_str(draft, SEMCONV_PROCESS_EXECUTABLE_NAME, name);
        refine_draft_add_str(draft, SEMCONV_PROCESS_EXECUTABLE_PATH, path);
        if (pid)
                refine_draft_add_int(draft, SEMCONV_PROCESS_PID, pid);
        if (code && !refine_draft_int(draft, SEMCONV_RAW_SIGNAL))
                refine_draft_add_int(draft, SEMCONV_PROCESS_EXIT_CODE, code->num);
}
