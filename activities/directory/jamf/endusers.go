package jamf

import "jamf-access-review/activities/directory"

// endUserRow is somebody a device belongs to, in either API.
type endUserRow struct {
	ID           text `json:"id"`
	Username     text `json:"username"` // newer
	Name         text `json:"name"`     // Classic: the username
	RealName     text `json:"realname"`
	FullName     text `json:"full_name"`
	Email        text `json:"email"`
	EmailAddress text `json:"email_address"`
}

func (r endUserRow) key() text { return r.ID }

func (r endUserRow) user() directory.User {
	user := directory.User{
		Identity: directory.Identity{Kind: directory.EndUser, ID: string(r.ID)},
		Username: string(r.Username),
		Email:    email(r.Email, r.EmailAddress),
		Name:     string(r.RealName),
		Status:   directory.StatusUnknown,
		MFA:      directory.MFAUnknown,
	}
	if user.Username == "" {
		user.Username = string(r.Name)
	}
	if user.Name == "" {
		user.Name = string(r.FullName)
	}
	return user
}

type classicUserDetail struct {
	User endUserRow `json:"user"`
}

func (d classicUserDetail) key() text { return d.User.ID }
