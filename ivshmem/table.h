/* SPDX-License-Identifier: MIT */
/* ivshmem/table.h - the eventfds of a link's peers, by ID and vector */
#ifndef BF_IVSHMEM_TABLE_H
#define BF_IVSHMEM_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "ivshmem/ivshmem.h"

#define BF_TABLE_IDS   (BF_IVSHMEM_ID_MAX + 1)
#define BF_TABLE_PAGES 256

#define BF_TABLE_UNHELD (-2) /* an entry: there was no descriptor to spare for it */

struct bf_table_page;

/*
 * Peers are found in constant time: IDs are split into page and place. A page exists
 * where there are peers, so a link of two costs one.
 */
struct bf_table {
	struct bf_table_page *page[BF_TABLE_PAGES];
};

/* Close every eventfd and free the pages. A zeroed table is empty. */
void bf_table_fini(struct bf_table *table);

/* Whether any vector of @id has been added. */
bool bf_table_has(const struct bf_table *table, uint16_t id);

/* How many vectors of @id have been added. */
unsigned int bf_table_count(const struct bf_table *table, uint16_t id);

/* How many of them are BF_TABLE_UNHELD. */
unsigned int bf_table_unheld(const struct bf_table *table, uint16_t id);

/* Return: the first ID, @id or above, that has a vector; -1 when there is none. */
int bf_table_next(const struct bf_table *table, unsigned int id);

/*
 * Give @id one more vector.
 * Return: its entry, -1 until the caller puts an eventfd there (takes), and valid until
 * the next call; NULL when there is no memory.
 */
int *bf_table_add(struct bf_table *table, uint16_t id);

/* Return: the eventfd (borrows); -1: there is none. */
int bf_table_fd(const struct bf_table *table, uint16_t id, unsigned int vector);

/*
 * Return: the eventfd (returns), which is not in the table any more; -1: there is none.
 */
int bf_table_take(struct bf_table *table, uint16_t id, unsigned int vector);

/* Forget @id and close its eventfds. */
void bf_table_remove(struct bf_table *table, uint16_t id);

#endif
