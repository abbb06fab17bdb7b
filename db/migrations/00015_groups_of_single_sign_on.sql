-- With single sign-on, whoever is in a group that Jamf Pro keeps itself may come
-- in without an account. How many such groups there are is known of the next sync
-- on.

-- +goose Up

ALTER TABLE connections ADD COLUMN internal_groups integer NOT NULL DEFAULT 0;

-- +goose Down

ALTER TABLE connections DROP COLUMN internal_groups;
