/* A state and its sentence are read whole, whoever writes meanwhile. */
#include "glance.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static void what_is_written_is_read(void **state)
{
    static struct glance glance;
    char text[GLANCE_TEXT], longer[GLANCE_TEXT + 100];

    (void)state;
    assert_int_equal(glance_read(&glance, text), 0);
    assert_string_equal(text, "");
    glance_write(&glance, 2, "the cluster does not answer");
    assert_int_equal(glance_read(&glance, text), 2);
    assert_string_equal(text, "the cluster does not answer");
    glance_write(&glance, 1, "ready");
    assert_int_equal(glance_read(&glance, text), 1);
    assert_string_equal(text, "ready");
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    glance_write(&glance, 3, longer);
    assert_int_equal(glance_read(&glance, text), 3);
    assert_int_equal(strlen(text), GLANCE_TEXT - 1);
}

enum { WRITES = 20000 };

struct shared {
    struct glance glance;
    atomic_bool over;
};

/* State and every character agree. */
static void *write_many(void *context)
{
    struct shared *shared = context;
    char text[GLANCE_TEXT] = "";

    for (uint32_t i = 1; i <= WRITES; i++) {
        memset(text, 'a' + (int)(i % 26), sizeof text - 1);
        glance_write(&shared->glance, i % 26, text);
    }
    atomic_store(&shared->over, true);
    return NULL;
}

static void a_torn_text_is_never_seen(void **state)
{
    static struct shared shared;
    char text[GLANCE_TEXT];
    pthread_t writer;
    size_t torn = 0;

    (void)state;
    assert_int_equal(pthread_create(&writer, NULL, write_many, &shared), 0);
    while (!atomic_load(&shared.over)) {
        uint32_t read = glance_read(&shared.glance, text);

        for (size_t i = 0; text[0] && i < GLANCE_TEXT - 1; i++)
            torn += text[i] != (char)('a' + (int)read);
    }
    assert_int_equal(pthread_join(writer, NULL), 0);
    assert_int_equal(torn, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(a_torn_text_is_never_seen),
    };

    return cmocka_run_group_tests_name("glance", tests, NULL, NULL);
}
